// Reads one JSON object of a pass with checks; messages name the JSON pointer.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/model_version.hpp"
#include "models/name_error.hpp"
#include "models/passes.hpp"

namespace isthmus::models {

class PassFields {
 public:
  //! Throws InputError unless `object` is one and all its keys are in `known`.
  PassFields(const nlohmann::json& object, std::string at, const std::vector<std::string>& known);

  bool has(const char* key) const { return object_.contains(key); }
  std::string at(const char* key) const { return at_ + "/" + key; }
  const std::string& place() const { return at_; }

  std::string text(const char* key) const;  //!< required, not empty
  std::string text_or(const char* key, std::string otherwise) const;
  double number(const char* key) const;  //!< required, finite
  double number_or(const char* key, double otherwise) const;
  std::size_t whole_or(const char* key, std::size_t otherwise) const;
  bool flag_or(const char* key, bool otherwise) const;
  std::optional<Precision> format(const char* key) const;
  const nlohmann::json& list(const char* key) const;  //!< an array that is not empty
  //! "accuracy", "metric" and "source" together.
  std::optional<Accuracy> accuracy() const;

 private:
  [[noreturn]] void refuse(const char* key, std::string_view wanted) const;
  const nlohmann::json& value(const char* key) const;
  const nlohmann::json& object_;
  std::string at_;
};

}  // namespace isthmus::models
