#include "python/python_object.hpp"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "sim/core/errors.hpp"

namespace py = pybind11;

namespace isthmus::python {

std::shared_ptr<py::object> shared_object(py::object object) {
  return {new py::object(std::move(object)), [](py::object* o) {
            if (!Py_IsInitialized()) return;
            const py::gil_scoped_acquire gil;
            delete o;
          }};
}

std::string_view kept_text(const std::string& text) {
  static std::set<std::string> all;  // the GIL guards it
  return *all.insert(text).first;
}

PythonObject::PythonObject(std::string label, py::object object)
    : label_(std::move(label)), object_(shared_object(std::move(object))) {}

bool PythonObject::has(const char* name) const { return py::hasattr(*object_, name); }

bool PythonObject::flag(const char* name) const { return has(name) && py::bool_(object_->attr(name)); }

Duration PythonObject::period(const char* name) const {
  if (!has(name)) return Duration::zero();
  const py::object value = object_->attr(name);
  const double seconds = PyFloat_AsDouble(value.ptr());
  if (PyErr_Occurred()) PyErr_Clear();
  else if (seconds >= 0 && std::isfinite(seconds)) return Duration::from_seconds(seconds);
  throw InputError(fmt::format("{}: {} is {}; expected seconds, zero or more", label_, name,
                               py::repr(value).cast<std::string>()));
}

void PythonObject::refuse(const char* method, const py::handle& result, const std::string& expected) const {
  throw InputError(fmt::format("{}: {}() returned {}; expected {}", label_, method,
                               py::repr(result).cast<std::string>(), expected));
}

std::uint64_t PythonObject::whole(const char* method, const py::handle& result, std::uint64_t last,
                                  const char* what) const {
  if (!PyBool_Check(result.ptr()) && PyIndex_Check(result.ptr())) {
    const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(result.ptr()));
    if (!number) throw py::error_already_set();
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
    if (overflow == 0 && value >= 0 && static_cast<std::uint64_t>(value) <= last)
      return static_cast<std::uint64_t>(value);
  }
  refuse(method, result, fmt::format("{}, a whole number from 0 to {}", what, last));
}

Instant PythonObject::date(const char* method, const py::handle& result) const {
  const double seconds = PyFloat_AsDouble(result.ptr());
  if (PyErr_Occurred()) {
    PyErr_Clear();
    refuse(method, result, "a date in seconds");
  }
  if (std::isinf(seconds) && seconds > 0) return Instant::never();
  if (!(seconds >= 0) || seconds > 9e9) refuse(method, result, "a date in seconds, zero or more");
  return Instant::from_seconds(seconds);
}

}  // namespace isthmus::python
