// Policies that join the built-in ones while a program runs, such as classes of a Python user.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schedulers/policy.hpp"

namespace isthmus::schedulers {

//! The added policies of one kind. They are found by name like built-in ones (registry.hpp). Adding one is not
//! safe while another thread reads scenarios or runs them.
template <class Policy>
class AddedPolicies {
 public:
  static AddedPolicies& instance() {
    static AddedPolicies all;
    return all;
  }
  //! Takes the place of an added policy of that name; scenarios that were read before keep the old one.
  void add(PolicyEntry<Policy> entry) {
    auto made = std::make_shared<const PolicyEntry<Policy>>(std::move(entry));
    kept_.push_back(made);
    ++generation_;
    for (auto& old : current_)
      if (old->name == made->name) {
        old = std::move(made);
        return;
      }
    current_.push_back(std::move(made));
  }
  const std::vector<std::shared_ptr<const PolicyEntry<Policy>>>& current() const { return current_; }
  const PolicyEntry<Policy>* find(std::string_view name) const {
    for (const auto& entry : current_)
      if (entry->name == name) return entry.get();
    return nullptr;
  }
  //! Grows with every add().
  std::uint64_t generation() const { return generation_; }

 private:
  AddedPolicies() = default;
  std::vector<std::shared_ptr<const PolicyEntry<Policy>>> current_, kept_;
  std::uint64_t generation_ = 0;
};

}  // namespace isthmus::schedulers
