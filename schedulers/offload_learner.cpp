#include "schedulers/offload_learner.hpp"

#include <bit>

#include "schedulers/entry.hpp"
#include "sim/core/hash.hpp"

namespace isthmus::schedulers {

std::vector<ParameterSpec> learner_parameters(std::vector<ParameterSpec> own) {
  std::vector<ParameterSpec> all{
      text_parameter("learning", "on", {"on", "off"},
                     "off: decide by what was learned before, without exploring or learning more"),
      text_parameter("weights", "", {}, "file of \"isthmus train\" to begin with; none: from nothing")};
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

Rng draws_of(const OffloadView& view) {
  return Rng(hash_combine(std::bit_cast<std::uint64_t>(view.uniform), 0x6f66666c6f6164ULL));
}

void eligible(const OffloadView& view, std::vector<std::size_t>& out) {
  out.clear();
  for (std::size_t i = 0; i < view.candidates.size(); ++i)
    if (view.candidates[i].healthy) out.push_back(i);
  if (!out.empty()) return;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) out.push_back(i);
}

}  // namespace isthmus::schedulers
