// What learning policies write into files and read back, with the checks that both need.
#pragma once

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace isthmus::schedulers {

//! A JSON object {"isthmus_policy": name, "candidates": [...], ...} on its way out. The policy adds its
//! own members; text() ends it. Numbers keep all their bits; one that is not finite is an
//! InternalError, because JSON has none.
class LearnedState {
 public:
  LearnedState(std::string_view policy, std::span<const std::string> candidates);
  nlohmann::json& operator[](const char* name) { return object_[name]; }
  std::string text() const;

 private:
  nlohmann::json object_;
};

//! The same on its way in. Everything that does not fit is an InputError that names the member.
class SavedState {
 public:
  SavedState(std::string_view policy, const std::string& text);
  const std::vector<std::string>& candidates() const { return candidates_; }
  //! Throws InputError when `names` are others than those it was learned for.
  void check_candidates(std::span<const std::string> names) const;
  double number(const char* name) const;
  //! Exactly `count` numbers; any count when it is npos.
  std::vector<double> numbers(const char* name, std::size_t count = std::string::npos) const;
  const nlohmann::json& member(const char* name) const;
  [[noreturn]] void fail(const std::string& what) const;

 private:
  std::string policy_;
  nlohmann::json object_;
  std::vector<std::string> candidates_;
};

//! Contents of a file of learned weights. Throws InputError when it cannot be read.
std::string read_learned(const std::string& path);

}  // namespace isthmus::schedulers
