// Errors that end a call. The library throws; only main() exits.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace isthmus {

//! Base of every exception that isthmus throws on purpose. what() is one readable message.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

//! Bad user input (scenario, view, trace, profile, command line): exit code 2. what() holds one
//! problem per line, each with its place and the fix.
class InputError : public Error {
 public:
  explicit InputError(const std::string& one) : Error(one), problems_{one} {}
  explicit InputError(std::vector<std::string> problems)
      : Error(join(problems)), problems_(std::move(problems)) {}
  //! The single problems, in reading order.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  static std::string join(const std::vector<std::string>& v) {
    std::string s;
    for (const auto& p : v) s += (s.empty() ? "" : "\n") + p;
    return s;
  }
  std::vector<std::string> problems_;
};

//! A broken promise inside isthmus (a bug): exit code 70. Never reachable from user input.
class InternalError : public Error {
 public:
  using Error::Error;
};

}  // namespace isthmus
