// Processor cores and graphics processors by the names that people write: what an unmeasured device
// is likely to do.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace isthmus::models {

//! Cores with similar libraries behind them; times of a family share an offset.
enum class CoreFamily : std::uint8_t {
  arm_scalar_fp16,  //!< ARMv8.2 and later, in order: fp16 arithmetic in the vector unit
  arm_fp16,         //!< ARMv8.2 and later, out of order
  arm_server,       //!< the same behind server memory
  arm_in_order,     //!< ARMv8.0, in order
  arm,              //!< ARMv8.0, out of order
  armv7,
  x86,           //!< AVX2 or AVX-512
  x86_sse,       //!< SSE only
  vector_other,  //!< another instruction set with vectors (LoongArch LSX, MSA, RISC-V V)
  scalar_other,  //!< another instruction set without vectors
  count_
};

//! One kind of core. `lanes`: multiply-adds x 2 per cycle in the format that inference libraries
//! prefer (fp16 where the arithmetic has it), from public descriptions of the vector units. A rough
//! figure: only its logarithm enters fits that give families and cores offsets of their own.
struct Core {
  std::string_view pattern;  //!< regular expression on descriptions, case does not matter
  std::string_view name;
  double lanes = 0;
  double clock = 0;  //!< GHz, where a description states none
  CoreFamily family = CoreFamily::arm;
};

//! Equal cores of a machine.
struct CoreCluster {
  const Core* core = nullptr;
  double clock = 0;  //!< GHz
  int count = 0;     //!< 0 = not stated

  double rate() const { return core->lanes * clock; }  //!< operations per ns and core
};

//! The clusters that a description names ("Cortex-A76 2.4GHz x 4 + Cortex-A55 1.8GHz x 4"), fastest
//! first; empty when it names no core of the table.
std::vector<CoreCluster> parse_cores(const std::string& description);

//! A graphics processor: fp32 peak in Gflop/s by its vendor's or public figures.
struct GraphicsProcessor {
  std::string_view pattern;
  double gflops = 0;
  bool embedded = false;  //!< shares memory with the processor of a phone or board
};

//! The graphics processor that a description names, or null.
const GraphicsProcessor* parse_graphics(const std::string& description);

}  // namespace isthmus::models
