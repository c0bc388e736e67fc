#include "schedulers/learned_state.hpp"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "schedulers/offload_policy.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

using nlohmann::json;

namespace {

constexpr int version = 1;

void check_finite(const json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>()))
    throw InternalError("a learning policy has learned a number that is not finite");
  if (value.is_structured())
    for (const json& inner : value) check_finite(inner);
}

}  // namespace

void OffloadPolicy::load(const std::string&) {
  throw InputError("this policy does not learn: it has no weights to load");
}

LearnedState::LearnedState(std::string_view policy, std::span<const std::string> candidates)
    : object_{{"isthmus_policy", policy},
              {"version", version},
              {"candidates", std::vector<std::string>(candidates.begin(), candidates.end())}} {}

std::string LearnedState::text() const {
  check_finite(object_);
  return object_.dump(1) + "\n";
}

SavedState::SavedState(std::string_view policy, const std::string& text) : policy_(policy) {
  object_ = json::parse(text, nullptr, false);
  if (object_.is_discarded()) fail("they are not JSON");
  if (!object_.is_object() || !object_.contains("isthmus_policy"))
    fail("they are not what \"isthmus train\" writes");
  const json& whose = object_["isthmus_policy"];
  if (whose != policy_) fail(fmt::format("they belong to policy {}", whose.dump()));
  if (const auto v = object_.find("version"); v == object_.end() || *v != version)
    fail(fmt::format("their version is not {}", version));
  const json& names = member("candidates");
  if (!names.is_array()) fail("\"candidates\" must be a list of names");
  for (const json& name : names) {
    if (!name.is_string()) fail("\"candidates\" must be a list of names");
    candidates_.push_back(name.get<std::string>());
  }
}

void SavedState::fail(const std::string& what) const {
  throw InputError(fmt::format("weights for policy {}: {}", policy_, what));
}

void SavedState::check_candidates(std::span<const std::string> names) const {
  if (std::equal(names.begin(), names.end(), candidates_.begin(), candidates_.end())) return;
  fail(fmt::format("they were learned for the candidates {}, not for {}", json(candidates_).dump(),
                   json(std::vector<std::string>(names.begin(), names.end())).dump()));
}

const json& SavedState::member(const char* name) const {
  const auto it = object_.find(name);
  if (it == object_.end()) fail(fmt::format("\"{}\" is missing", name));
  return *it;
}

double SavedState::number(const char* name) const {
  const json& value = member(name);
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    fail(fmt::format("\"{}\" must be a number", name));
  return value.get<double>();
}

std::vector<double> SavedState::numbers(const char* name, std::size_t count) const {
  const json& list = member(name);
  if (!list.is_array()) fail(fmt::format("\"{}\" must be a list of numbers", name));
  std::vector<double> out;
  for (const json& value : list) {
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      fail(fmt::format("\"{}\" must be a list of numbers", name));
    out.push_back(value.get<double>());
  }
  if (count != std::string::npos && out.size() != count)
    fail(fmt::format("\"{}\" has {} numbers where {} are needed", name, out.size(), count));
  return out;
}

std::string read_learned(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  if (!in || !(text << in.rdbuf()))
    throw InputError(fmt::format("cannot read the weights \"{}\"; \"isthmus train\" writes such files",
                                 path));
  return text.str();
}

}  // namespace isthmus::schedulers
