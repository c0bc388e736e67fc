// What the time of one part of an iteration rests on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "models/kernel_curve.hpp"
#include "models/prediction.hpp"

namespace isthmus::models {

//! Evidence and relative standard error of one part.
struct Evidence {
  PredictionKind kind = PredictionKind::roofline;
  double relative_error = 0;
};

//! That of a part's curve, or the roofline's.
struct EvidenceOf {
  double roofline_error = 0;  //!< relative standard error of roofline times

  Evidence operator()(const std::optional<MeasuredCurve>& curve, double x) const {
    return curve ? (*this)(*curve, x) : Evidence{PredictionKind::roofline, roofline_error};
  }
  Evidence operator()(const MeasuredCurve& curve, double x) const {
    const PredictionKind kind = curve.kind(x);
    // Beyond the table the scaling is a guess as good as the roofline.
    return {kind, kind == PredictionKind::extrapolated
                      ? std::max(curve.relative_error, roofline_error)
                      : curve.relative_error};
  }
  //! Of `sequences` >= 1 that decode at `context` tokens together; `curves` by sequences.
  Evidence decode(const std::vector<MeasuredCurve>& curves, std::int64_t sequences,
                  double context) const {
    if (curves.empty()) return {PredictionKind::roofline, roofline_error};
    const auto i = std::min(static_cast<std::size_t>(sequences), curves.size());
    const double own = context / static_cast<double>(sequences) * static_cast<double>(i);
    Evidence e = (*this)(curves[i - 1], own);
    if (i < static_cast<std::size_t>(sequences)) {
      e.kind = PredictionKind::extrapolated;
      e.relative_error = std::max(e.relative_error, roofline_error);
    }
    return e;
  }
};

}  // namespace isthmus::models
