// Tables made from what registered policies declare about themselves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "scenarios/tables.hpp"
#include "schedulers/added_policies.hpp"

namespace isthmus::scenarios {

//! The row of a parameter.
Field row_of(const schedulers::ParameterSpec& p);

template <class Policy>
Variant variant_of(const schedulers::PolicyEntry<Policy>& entry) {
  Variant v;
  v.value = entry.name;
  v.help = entry.summary;
  for (const schedulers::ParameterSpec& p : entry.parameters) v.fields.push_back(row_of(p));
  return v;
}

//! Makes `policy` the tag of the table, with a variant per policy.
template <class Policy>
void add_policies(ObjectSpec& s, const std::vector<schedulers::PolicyEntry<Policy>>& table) {
  s.tag = "policy";
  Field name = word("policy", {}, "name of the policy").needed();
  for (const auto& entry : table) {
    name.choices.push_back(entry.name);
    s.variants.push_back(variant_of(entry));
  }
  s.fields.insert(s.fields.begin(), name);
}

//! The table with the policies that were added since it was made. Its address stays.
template <class Policy>
const ObjectSpec& with_added(ObjectSpec& s) {
  static std::uint64_t seen = 0;
  const auto& added = schedulers::AddedPolicies<Policy>::instance();
  if (seen == added.generation()) return s;
  seen = added.generation();
  for (const auto& entry : added.current()) {
    Variant v = variant_of(*entry);
    const auto same = std::ranges::find(s.variants, v.value, &Variant::value);
    if (same != s.variants.end()) {
      *same = std::move(v);
      continue;
    }
    std::ranges::find(s.fields, "policy", &Field::name)->choices.push_back(entry->name);
    s.variants.push_back(std::move(v));
  }
  return s;
}

}  // namespace isthmus::scenarios
