// report.html: one page with tables and charts that opens anywhere, offline.
#pragma once

#include <string>
#include <vector>

#include "results/distribution.hpp"
#include "results/recorder.hpp"
#include "results/svg_chart.hpp"

namespace isthmus::results {

//! Samples of every service over time, thinned so that memory stays bounded: when a service has
//! `most_points`, neighbours are averaged and from then on twice as many samples make a point.
class TimeSeries {
 public:
  static constexpr std::size_t most_points = 1024;
  explicit TimeSeries(std::size_t services) : services_(services) {}

  void add(const ServiceSample& s);
  //! One line per service that has samples: `what` is "queued", "running" or "replicas".
  std::vector<ChartLine> lines(const std::string& what, const RunInfo& info) const;

 private:
  struct Point {
    double at = 0, queued = 0, running = 0, replicas = 0;
  };
  struct Service {
    std::vector<Point> points;
    Point sum;
    std::size_t in_sum = 0, per_point = 1;
  };
  std::vector<Service> services_;
};

//! Empirical distribution function of latencies, from the histogram: seconds against fraction.
ChartLine latency_cdf(const std::string& label, const MergedDistribution& latency);

//! The page. Inline style and SVG only; no scripts, no links to fetch.
std::string html_report(const Summary& summary, const std::vector<ChartLine>& cdf,
                        const TimeSeries& series);

}  // namespace isthmus::results
