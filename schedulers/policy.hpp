// What every policy declares about itself, once: the same lines feed parsing, validation, help and docs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace isthmus::schedulers {

//! What a parameter measures; decides which unit strings a scenario accepts for it.
enum class Dimension { none, count, fraction, duration, bytes, bandwidth, power, money, text };

//! SI base unit of a dimension as printed in messages and docs; "" for dimensionless ones.
std::string_view unit_of(Dimension dimension);

//! One parameter of a policy. Values are SI base units (seconds, bytes, bytes/s, W, USD).
struct ParameterSpec {
  std::string name;
  Dimension dimension = Dimension::none;
  double default_value = 0;
  double min = 0, max = 0;              //!< inclusive range
  std::string default_text;             //!< Dimension::text only
  std::vector<std::string> choices;     //!< Dimension::text only; empty: any
  std::string help;                     //!< meaning, and when to change it
  bool list = false;                    //!< several numbers, e.g. preferred batch sizes; default empty
};

//! Values for the parameters of one policy; anything not set has its declared default.
class Parameters {
 public:
  explicit Parameters(const std::vector<ParameterSpec>& specs);
  //! Throws InputError for an unknown name, a value out of range or a text that is no choice.
  void set(const std::string& name, double value);
  void set(const std::string& name, const std::string& text);
  void set(const std::string& name, const std::vector<double>& list);
  double number(const std::string& name) const;
  const std::string& text(const std::string& name) const;
  const std::vector<double>& list(const std::string& name) const;

 private:
  struct Value {
    double number = 0;
    std::string text;
    std::vector<double> list;
  };
  const ParameterSpec& spec(const std::string& name) const;
  const Value& value(const std::string& name) const;
  std::vector<ParameterSpec> specs_;
  std::map<std::string, Value> values_;
};

//! End of an error message about a word that is none of `candidates`: `did you mean "x"?`, or all of
//! them when nothing is close.
std::string hint(std::string_view word, std::span<const std::string> candidates);

//! A registered policy of kind `Policy` (an abstract class with one decision method).
template <class Policy>
struct PolicyEntry {
  std::string name;
  std::string summary;                  //!< one sentence: what it does
  std::string source;                   //!< paper, standard or reference case
  std::string bad_idea_when;            //!< one sentence
  std::string complexity;               //!< of one decision, e.g. "O(candidates)"
  std::vector<ParameterSpec> parameters;
  std::function<std::shared_ptr<Policy>(const Parameters&)> make;
};

}  // namespace isthmus::schedulers
