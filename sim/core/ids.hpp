// Dense indices with a type each, so that a node is never used where a link is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <type_traits>

#include "sim/core/errors.hpp"

namespace isthmus {

//! An index into one table of the run; `Tag` keeps the tables apart.
template <class Tag, class Rep = std::uint32_t>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  //! The id of row `i`, any integer type; one that does not fit is an InternalError.
  template <class I>
  static constexpr Id of(I i) {
    static_assert(std::is_integral_v<I>);
    const auto r = static_cast<Rep>(i);
    if (static_cast<I>(r) != i || (i < I{}) || r == std::numeric_limits<Rep>::max()) fail_range();
    return Id(r);
  }
  //! The id that names nothing.
  static constexpr Id none() { return Id(); }
  //! The index, to be used on its own table only.
  constexpr Rep value() const { return value_; }
  //! False for none().
  constexpr bool valid() const { return value_ != std::numeric_limits<Rep>::max(); }
  constexpr auto operator<=>(const Id&) const = default;

 private:
  [[noreturn, gnu::cold, gnu::noinline]] static void fail_range() {
    throw InternalError("index out of the range of its id type");
  }

  Rep value_ = std::numeric_limits<Rep>::max();
};

using NodeId = Id<struct NodeTag>;
using UnitId = Id<struct UnitTag>;
using LinkId = Id<struct LinkTag>;
using ServiceId = Id<struct ServiceTag>;
using ReplicaId = Id<struct ReplicaTag>;
using TenantId = Id<struct TenantTag>;
using ModelId = Id<struct ModelTag>;
using FlowId = Id<struct FlowTag>;
//! Numbered from 0 in order of creation, over the whole run.
using RequestId = Id<struct RequestTag, std::uint64_t>;
using TaskId = Id<struct TaskTag, std::uint64_t>;

}  // namespace isthmus

template <class Tag, class Rep>
struct std::hash<isthmus::Id<Tag, Rep>> {
  std::size_t operator()(isthmus::Id<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};
