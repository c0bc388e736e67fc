// An object of a Python user inside the simulator: called under the GIL, let go under the GIL, and its answers
// checked before anybody believes them.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "sim/core/time.hpp"

namespace isthmus::python {

//! Shares a Python object with code that does not hold the GIL. After the interpreter has gone it is not let go.
std::shared_ptr<pybind11::object> shared_object(pybind11::object object);

//! Text that lives as long as the program.
std::string_view kept_text(const std::string& text);

//! Methods with the word `result` need the GIL.
class PythonObject {
 public:
  //! `label`: for messages, e.g. `offload policy "mine"`.
  PythonObject(std::string label, pybind11::object object);

  bool has(const char* name) const;
  bool flag(const char* name) const;       //!< attribute `name`, false where there is none
  Duration period(const char* name) const; //!< attribute `name` in s, zero where there is none

  template <class... A>
  pybind11::object call(const char* method, A&&... arguments) const {
    return object_->attr(method)(std::forward<A>(arguments)...);
  }
  const pybind11::object& object() const { return *object_; }

  //! Throws InputError: `method` returned `result`, but `expected` was.
  [[noreturn]] void refuse(const char* method, const pybind11::handle& result, const std::string& expected) const;
  //! A whole number from 0 to last.
  std::uint64_t whole(const char* method, const pybind11::handle& result, std::uint64_t last,
                      const char* what) const;
  //! An index into `size` things, or the name of one of them.
  template <class Things>
  std::size_t index(const char* method, const pybind11::handle& result, const Things& things,
                    const char* what) const {
    if constexpr (requires { things[0].name; }) {
      if (pybind11::isinstance<pybind11::str>(result)) {
        const auto name = result.cast<std::string>();
        for (std::size_t i = 0; i < things.size(); ++i)
          if (things[i].name == name) return i;
        refuse(method, result, std::string("one of the names of the ") + what);
      }
    }
    return whole(method, result, things.size() - 1, what);
  }
  //! A date in s; infinite: never.
  Instant date(const char* method, const pybind11::handle& result) const;

 private:
  std::string label_;
  std::shared_ptr<pybind11::object> object_;
};

}  // namespace isthmus::python
