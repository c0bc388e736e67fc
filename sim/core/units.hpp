// Physical quantities as types: a watt is never added to a joule. Stored as double in SI base units
// (bytes for data); `value()` is the only way out.
#pragma once

#include <compare>

#include "sim/core/time.hpp"

namespace isthmus {

//! A double with a dimension. `Tag` names it; the stored unit is in the alias comment below.
template <class Tag>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double v) : v_(v) {}
  //! The number in the SI base unit.
  constexpr double value() const { return v_; }
  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator+(Quantity o) const { return Quantity(v_ + o.v_); }
  constexpr Quantity operator-(Quantity o) const { return Quantity(v_ - o.v_); }
  constexpr Quantity operator*(double k) const { return Quantity(v_ * k); }
  friend constexpr Quantity operator*(double k, Quantity q) { return q * k; }
  constexpr Quantity operator/(double k) const { return Quantity(v_ / k); }
  constexpr double operator/(Quantity o) const { return v_ / o.v_; }
  constexpr Quantity& operator+=(Quantity o) {
    v_ += o.v_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity o) {
    v_ -= o.v_;
    return *this;
  }

 private:
  double v_ = 0.0;
};

using Bytes = Quantity<struct BytesTag>;                    //!< bytes
using BytesPerSecond = Quantity<struct BytesPerSecondTag>;  //!< bytes per second
using Flops = Quantity<struct FlopsTag>;                    //!< floating-point operations
using FlopsPerSecond = Quantity<struct FlopsRateTag>;       //!< operations per second
using Watts = Quantity<struct WattsTag>;                    //!< W
using Joules = Quantity<struct JoulesTag>;                  //!< J
using Usd = Quantity<struct UsdTag>;                        //!< US dollars

//! Energy of a power held for a time.
constexpr Joules operator*(Watts p, Duration d) { return Joules(p.value() * d.seconds()); }
constexpr Joules operator*(Duration d, Watts p) { return p * d; }
//! Seconds that a transfer or a computation takes at a constant rate.
constexpr double operator/(Bytes b, BytesPerSecond r) { return b.value() / r.value(); }
constexpr double operator/(Flops w, FlopsPerSecond r) { return w.value() / r.value(); }

}  // namespace isthmus
