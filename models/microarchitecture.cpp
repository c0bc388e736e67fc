#include "models/microarchitecture.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <regex>

namespace isthmus::models {

namespace {

using F = CoreFamily;

// The first pattern that fits wins, so that narrow ones come first.
constexpr std::array cores{
    Core{"cortex.?x4", "Cortex-X4", 96, 3.2, F::arm_fp16},
    Core{"cortex.?x[123]", "Cortex-X1/X2/X3", 64, 2.84, F::arm_fp16},
    Core{"oryon", "Oryon", 64, 3.4, F::arm_fp16},
    Core{"macbook.*m3", "Apple M3", 64, 4.05, F::arm_fp16},
    Core{"macbook.*m1", "Apple M1", 64, 3.2, F::arm_fp16},
    Core{"cortex.?a72[05]", "Cortex-A720", 32, 2.6, F::arm_fp16},
    Core{"cortex.?a78|orin nano", "Cortex-A78", 32, 2.0, F::arm_fp16},
    Core{"a77", "Cortex-A77", 32, 2.4, F::arm_fp16},
    Core{"a76|kyro ?485|kyro ?585|kyro ?460|765g", "Cortex-A76", 32, 2.4, F::arm_fp16},
    Core{"snapdragon 8 gen 2", "Cortex-X3", 64, 3.2, F::arm_fp16},
    Core{"snapdragon 835|kyro ?260|a73", "Cortex-A73", 8, 2.2, F::arm},
    Core{"snapdragon 821", "Kryo", 8, 2.35, F::arm},
    Core{"carmel", "Carmel", 32, 2.26, F::arm_fp16},
    Core{"denver", "Denver 2", 8, 2.0, F::arm},
    Core{"a72", "Cortex-A72", 8, 1.8, F::arm},
    Core{"a57|jetson nano", "Cortex-A57", 8, 1.43, F::arm},
    Core{"a17", "Cortex-A17", 4, 1.8, F::armv7},
    Core{"ftc66[0-9]|phytium", "FTC66x", 8, 2.3, F::arm},
    Core{"kunpeng", "TaiShan v110", 32, 2.6, F::arm_server},
    Core{"a520", "Cortex-A520", 16, 1.8, F::arm_scalar_fp16},
    Core{"a55", "Cortex-A55", 16, 1.8, F::arm_scalar_fp16},
    Core{"a53", "Cortex-A53", 8, 1.5, F::arm_in_order},
    Core{"apple a7", "Cyclone", 8, 1.3, F::arm},
    Core{"cortex.a7\\b", "Cortex-A7", 2, 1.2, F::armv7},
    Core{"a9\\b", "Cortex-A9", 4, 0.77, F::armv7},
    Core{"a5,", "Cortex-A5", 2, 1.5, F::armv7},
    Core{"d64ps|neoverse.?n2", "Neoverse N2", 32, 3.4, F::arm_server},
    Core{"d64s ", "Emerald Rapids", 64, 3.0, F::x86},
    Core{"d64as", "Zen 5", 64, 3.7, F::x86},
    Core{"c5\\.4xlarge", "Skylake-SP", 64, 3.4, F::x86},
    Core{"epyc 7742", "Zen 2", 32, 3.2, F::x86},
    Core{"v1605b", "Zen", 16, 3.4, F::x86},
    Core{"zen ?2", "Zen 2", 32, 4.2, F::x86},
    Core{"zen ?3|ryzen 9 5950", "Zen 3", 32, 4.5, F::x86},
    Core{"core.{0,5}i7", "Core i7", 32, 4.4, F::x86},
    Core{"n5105", "Tremont", 8, 2.8, F::x86_sse},
    Core{"z8350", "Airmont", 4, 1.84, F::x86_sse},
    Core{"yonah", "Yonah", 4, 1.6, F::x86_sse},
    Core{"xeon phi", "Knights Corner", 32, 1.1, F::x86_sse},
    Core{"la464", "LA464", 16, 2.5, F::vector_other},
    Core{"la664", "LA664", 16, 2.5, F::vector_other},
    Core{"la364", "LA364", 8, 1.5, F::vector_other},
    Core{"la264|gs264", "GS264", 2, 1.0, F::scalar_other},
    Core{"gs464v", "GS464V", 8, 1.8, F::vector_other},
    Core{"gs464e", "GS464E", 2, 1.45, F::scalar_other},
    Core{"sw_64", "SW64", 2, 2.0, F::scalar_other},
    Core{"x60", "Spacemit X60", 8, 1.6, F::vector_other},
    Core{"c910", "C910", 4, 1.85, F::vector_other},
    Core{"c906", "C906", 4, 1.0, F::scalar_other},
    Core{"u74", "U74", 2, 1.5, F::scalar_other},
    Core{"xburst", "XBurst 2", 2, 1.4, F::scalar_other},
};

constexpr std::array graphics{
    GraphicsProcessor{"rtx ?3090", 35600, false},
    GraphicsProcessor{"rtx ?8000", 16300, false},
    GraphicsProcessor{"rtx ?2060", 6500, false},
    GraphicsProcessor{"rtx ?2080", 10100, false},
    GraphicsProcessor{"a3000", 10900, false},
    GraphicsProcessor{"3070 laptop", 16000, false},
    GraphicsProcessor{"3060 ti", 16200, false},
    GraphicsProcessor{"1050 ti", 2100, false},
    GraphicsProcessor{"6900 xt", 23000, false},
    GraphicsProcessor{"v100", 14000, false},
    GraphicsProcessor{"agx orin", 5300, true},
    GraphicsProcessor{"orin nano", 1280, true},
    GraphicsProcessor{"agx xavier", 1410, true},
    GraphicsProcessor{"tx2", 1330, true},
    GraphicsProcessor{"jetson nano", 472, true},
    GraphicsProcessor{"m1, 2020", 2600, false},
    GraphicsProcessor{"m3, 2024", 3500, false},
    GraphicsProcessor{"x1-85", 4600, true},
    GraphicsProcessor{"adreno 740", 3400, true},
    GraphicsProcessor{"adreno 660", 1700, true},
    GraphicsProcessor{"adreno 640", 950, true},
    GraphicsProcessor{"adreno 620", 600, true},
    GraphicsProcessor{"adreno 612", 350, true},
    GraphicsProcessor{"adreno 540", 570, true},
    GraphicsProcessor{"adreno 512", 255, true},
    GraphicsProcessor{"snapdragon 821", 500, true},
    GraphicsProcessor{"snapdragon 810", 390, true},
    GraphicsProcessor{"g720.*mc12", 5500, true},
    GraphicsProcessor{"g720.*mc10", 3500, true},
    GraphicsProcessor{"g610|rk3588", 610, true},
    GraphicsProcessor{"g52|rk3566", 54, true},
    GraphicsProcessor{"kirin 970", 330, true},
    GraphicsProcessor{"vega 8", 1130, false},
    GraphicsProcessor{"uhd graphics 770", 790, false},
    GraphicsProcessor{"n5105", 290, false},
    GraphicsProcessor{"videocore", 76, true},
    GraphicsProcessor{"rk3288", 80, true},
    GraphicsProcessor{"bxe-2|bxm-4|bxe-4", 50, true},
    GraphicsProcessor{"uhd graphics 630", 450, false},
};

bool finds(const std::string& text, std::string_view pattern) {
  return std::regex_search(text, std::regex(pattern.begin(), pattern.end(), std::regex::icase));
}

const Core* core_in(const std::string& text) {
  for (const Core& c : cores)
    if (finds(text, c.pattern)) return &c;
  return nullptr;
}

// Dashes and multiplication signs of typography as plain ones.
std::string plain(std::string text) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (std::size_t i = 0; (i = text.find(from, i)) != std::string::npos; i += to.size())
      text.replace(i, from.size(), to);
  };
  replace("\u2011", "-");
  replace("\u00d7", "x");
  replace("*", "x");
  return text;
}

// Clock in GHz, the upper end of a range; 0 when there is none.
double clock_in(const std::string& text) {
  static const std::regex unit(R"((\d+(?:\.\d+)?)\s*(GHz|MHz)(?:\s*~\s*(\d+(?:\.\d+)?)\s*GHz)?)",
                               std::regex::icase);
  std::smatch m;
  if (!std::regex_search(text, m, unit)) return 0;
  if (m[3].matched) return std::strtod(m[3].str().c_str(), nullptr);
  const double v = std::strtod(m[1].str().c_str(), nullptr);
  return std::tolower(m[2].str()[0]) == 'm' ? v / 1000 : v;
}

int count_in(const std::string& text) {
  static const std::regex times(R"((?:^|[^a-z])x\s?(\d{1,2})(?![\d.])|\b(\d{1,2})\s?x\s)",
                                std::regex::icase);
  if (finds(text, "quad core")) return 4;
  std::smatch m;
  if (!std::regex_search(text, m, times)) return 0;
  return std::atoi((m[1].matched ? m[1] : m[2]).str().c_str());
}

}  // namespace

std::vector<CoreCluster> parse_cores(const std::string& description) {
  const std::string text = plain(description);
  // Clusters are joined by plus signs; graphics among them are left out.
  std::vector<CoreCluster> clusters;
  const Core* last = nullptr;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('+', start), text.size());
    const std::string part = text.substr(start, end - start);
    start = end + 1;
    const Core* core = core_in(part);
    if (!core && finds(part, "adreno|mali|vega|tensor|powervr|immortal|ampere|pascal|radeon"))
      continue;
    const double clock = clock_in(part);
    if (core) last = core;
    if (!last || (!core && clock == 0)) continue;
    clusters.push_back({last, clock > 0 ? clock : last->clock, count_in(part)});
  }
  std::stable_sort(clusters.begin(), clusters.end(),
                   [](const CoreCluster& a, const CoreCluster& b) { return a.rate() > b.rate(); });
  return clusters;
}

const GraphicsProcessor* parse_graphics(const std::string& description) {
  const std::string text = plain(description);
  for (const GraphicsProcessor& g : graphics)
    if (finds(text, g.pattern)) return &g;
  return nullptr;
}

}  // namespace isthmus::models
