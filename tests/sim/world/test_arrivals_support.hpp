// What the tests of arrivals share: streams to vectors, statistics, files.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world/arrivals.hpp"

namespace isthmus::world::arrival_testing {

inline std::vector<Arrival> take(const Workload& w, std::uint64_t seed = 1,
                                 std::uint64_t most = ~0ULL) {
  const auto source = make_arrival_source(w, seed);
  std::vector<Arrival> all;
  while (all.size() < most) {
    const auto a = source->next();
    if (!a) break;
    all.push_back(*a);
  }
  return all;
}

inline Workload workload(const Arrivals& arrivals, std::string name = "w") {
  Workload w;
  w.name = std::move(name);
  w.arrivals = arrivals;
  return w;
}

inline std::vector<double> seconds_of(const std::vector<Arrival>& arrivals) {
  std::vector<double> s;
  for (const auto& a : arrivals) s.push_back(a.at.seconds());
  return s;
}

inline std::vector<double> gaps_of(const std::vector<double>& dates) {
  std::vector<double> g;
  for (std::size_t i = 1; i < dates.size(); ++i) g.push_back(dates[i] - dates[i - 1]);
  return g;
}

inline double mean_of(const std::vector<double>& x) {
  double s = 0;
  for (const double v : x) s += v;
  return s / static_cast<double>(x.size());
}

inline double variance_of(const std::vector<double>& x) {
  const double m = mean_of(x);
  double s = 0;
  for (const double v : x) s += (v - m) * (v - m);
  return s / static_cast<double>(x.size());
}

inline double cv_of(const std::vector<double>& x) { return std::sqrt(variance_of(x)) / mean_of(x); }

// Variance over mean of the counts in windows of `window` seconds, whole windows from the first
// date on.
inline double dispersion(const std::vector<double>& dates, double window) {
  std::vector<double> counts(static_cast<std::size_t>((dates.back() - dates.front()) / window) + 1,
                             0.0);
  for (const double d : dates) counts[static_cast<std::size_t>((d - dates.front()) / window)] += 1;
  if (counts.size() > 1) counts.pop_back();
  return variance_of(counts) / mean_of(counts);
}

inline double quantile_of(std::vector<double> x, double p) {
  std::sort(x.begin(), x.end());
  return x[static_cast<std::size_t>(p * static_cast<double>(x.size() - 1))];
}

// Kolmogorov-Smirnov distance to a continuous law.
inline double ks_distance(std::vector<double> x, const std::function<double(double)>& cdf) {
  std::sort(x.begin(), x.end());
  const auto n = static_cast<double>(x.size());
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double f = cdf(x[i]), k = static_cast<double>(i);
    worst = std::max({worst, f - k / n, (k + 1) / n - f});
  }
  return worst;
}

// Kolmogorov-Smirnov distance between two samples, ties included.
inline double ks_distance(std::vector<double> x, std::vector<double> y) {
  std::sort(x.begin(), x.end());
  std::sort(y.begin(), y.end());
  double worst = 0;
  for (std::size_t i = 0, j = 0; i < x.size() && j < y.size();) {
    const double v = std::min(x[i], y[j]);
    while (i < x.size() && x[i] <= v) ++i;
    while (j < y.size() && y[j] <= v) ++j;
    worst = std::max(worst, std::abs(static_cast<double>(i) / static_cast<double>(x.size()) -
                                     static_cast<double>(j) / static_cast<double>(y.size())));
  }
  return worst;
}

// 1.95 / sqrt(n): exceeded by one sample in a thousand.
inline double ks_bound(std::size_t n) { return 1.95 / std::sqrt(static_cast<double>(n)); }

// ISTHMUS_DATA/data/workloads.
inline std::filesystem::path workload_data() {
  const char* const set = std::getenv("ISTHMUS_DATA");
  const std::filesystem::path root = set ? set : ISTHMUS_SOURCE_DIR "/../shared";
  return root / "data" / "workloads";
}

// A file that lives as long as the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) {
    static int serial = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("isthmus_arrivals_" + std::to_string(::getpid()) + "_" + std::to_string(serial++));
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline Workload trace(const std::string& file, TraceFormat format) {
  Arrivals a;
  a.kind = ArrivalKind::trace;
  a.file = file;
  a.format = format;
  return workload(a);
}

// The message of the InputError that reading the whole stream ends with, or "".
inline std::string error_of(const Workload& w) {
  try {
    take(w, 1, 1000);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

}  // namespace isthmus::world::arrival_testing
