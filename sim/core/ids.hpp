// Dense indices with a type each, so that a node is never used where a link is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <limits>

namespace isthmus {

//! An index into one table of the run; `Tag` keeps the tables apart.
template <class Tag, class Rep = std::uint32_t>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  template <class I>
  static constexpr Id of(I i) { return Id(static_cast<Rep>(i)); }
  //! The id that names nothing.
  static constexpr Id none() { return Id(); }
  constexpr Rep value() const { return value_; }
  constexpr bool valid() const { return value_ != std::numeric_limits<Rep>::max(); }
  constexpr auto operator<=>(const Id&) const = default;

 private:
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
