// A YAML object that is read field by field, with problems that name their place.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isthmus::scenarios {

//! Fields of a mapping in order: name and value.
std::vector<std::pair<YAML::Node, YAML::Node>> fields_of(const YAML::Node& node);

//! Problems of one file, "file:line:column: path: reason".
class YamlProblems {
 public:
  explicit YamlProblems(std::string file) : file_(std::move(file)) {}
  void add(const YAML::Mark& at, const std::string& path, const std::string& reason);
  bool any() const { return !lines_.empty(); }
  //! Throws InputError with all of them, if there are any.
  void throw_if_any() const;

 private:
  std::string file_;
  std::vector<std::string> lines_;
};

//! A mapping. Reading a field that is not there gives an empty value; what nobody has asked for is a
//! problem once finish() is called.
class YamlObject {
 public:
  //! `node` may be of another kind, which is a problem.
  YamlObject(YAML::Node node, std::string path, YamlProblems& problems);

  bool has(const std::string& name);
  std::optional<YamlObject> object(const std::string& name);
  //! The elements of a list; empty when it is not there.
  std::vector<YAML::Node> list(const std::string& name);
  std::optional<std::string> text(const std::string& name);
  //! An integer in a range; `hint` follows a complaint about something else.
  std::optional<std::int64_t> integer(const std::string& name, std::int64_t least, std::int64_t most,
                                      const std::string& hint = "");
  //! A quantity such as 500m, 2, 1k or 10Mi, in milli-units; at least 1m.
  std::optional<std::int64_t> quantity(const std::string& name);
  //! One of the words.
  std::optional<std::string> word(const std::string& name, const std::vector<std::string>& words);
  //! Takes note of a field without reading it; true when it is there.
  bool skip(const std::string& name);

  void require(const std::string& name);
  void problem(const std::string& reason);
  void problem_at(const std::string& name, const std::string& reason);
  //! Names each field that nobody asked for.
  void finish();

  std::string path_to(const std::string& name) const { return path_.empty() ? name : path_ + "." + name; }
  const YAML::Mark& mark() const { return mark_; }

 private:
  YAML::Node find(const std::string& name);

  YAML::Node node_;
  std::string path_;
  YAML::Mark mark_;
  YamlProblems* problems_;
  std::vector<std::string> known_;
};

//! A quantity of Kubernetes in milli-units, rounded up; empty when the text is none.
std::optional<std::int64_t> parse_quantity(std::string_view text);

}  // namespace isthmus::scenarios
