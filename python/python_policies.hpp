// Policies that are written in Python.
#pragma once

#include <pybind11/pybind11.h>

namespace isthmus::python {

//! Views as read-only classes, and `add_policy`, which makes a Python class a policy of a kind.
void bind_policies(pybind11::module_& m);

}  // namespace isthmus::python
