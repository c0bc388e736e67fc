"""Policies written in Python, used by scenarios under their names like built-in ones."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import _isthmus
from isthmus.errors import InputError

_Class = TypeVar("_Class", bound=type)
_WIDEST = 1e300


@dataclass(frozen=True)
class Parameter:
    """A parameter of a policy, as the default of an argument of its ``__init__``.

    ``unit``: "" (plain number), "count" (whole), "fraction", "s", "B", "B/s", "W" or "USD"; scenarios may then
    give it with any unit of that kind, and the policy gets SI base units. A text default makes a text parameter,
    one of ``choices`` if there are any. Values below ``min`` or above ``max`` are refused with their place.
    """

    default: float | str
    unit: str = ""
    min: float = -math.inf
    max: float = math.inf
    choices: Sequence[str] = ()
    help: str = ""

    def _row(self, name: str) -> tuple[str, str, float | str, float, float, list[str], str]:
        if isinstance(self.default, str):
            return name, "text", self.default, 0.0, 0.0, list(self.choices), self.help
        low = 0.0 if self.unit and self.min == -math.inf else self.min
        high = 1.0 if self.unit == "fraction" and self.max == math.inf else self.max
        return (
            name,
            self.unit,
            float(self.default),
            max(float(low), -_WIDEST),
            min(float(high), _WIDEST),
            [],
            self.help,
        )


def _parameters(cls: type) -> list[tuple[str, str, float | str, float, float, list[str], str]]:
    rows = []
    if cls.__init__ is object.__init__:
        return rows
    for name, argument in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        if argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL):
            continue
        default = argument.default
        if isinstance(default, bool) or not isinstance(default, (int, float, str, Parameter)):
            raise InputError(
                f"{cls.__name__}.__init__: argument {name} needs a default: a number, a text or an isthmus.Parameter"
            )
        rows.append((default if isinstance(default, Parameter) else Parameter(default))._row(name))
    return rows


def policy(
    kind: str,
    name: str,
    *,
    summary: str = "",
    source: str = "",
    bad_idea_when: str = "",
    complexity: str = "",
) -> Callable[[_Class], _Class]:
    """Class decorator: makes the class the ``kind`` policy ``name`` of this process.

    Scenarios use it by that name, with the arguments of ``__init__`` as parameters (see :class:`Parameter`). One
    object is made wherever a built-in policy would be one: per run, service, replica or unit. What its method
    gets and returns is in docs/python_policies.md. A class of the same name takes the place of an older one;
    built-in names are refused. Register before runs begin in other threads. ``isthmus.compare`` with several
    threads calls policies under the GIL, one at a time.

    >>> @isthmus.policy("routing", "emptiest")
    ... class Emptiest:
    ...     def choose(self, view):
    ...         return min(range(len(view.replicas)), key=lambda i: view.replicas[i].outstanding)
    >>> isthmus.run("scenario.json", overrides={"/services/cloud/routing": "emptiest"})
    """

    def register(cls: _Class) -> _Class:
        _isthmus.add_policy(
            kind=kind,
            name=name,
            type=cls,
            summary=summary or (inspect.getdoc(cls) or "").split("\n")[0],
            source=source or f"{cls.__module__}.{cls.__qualname__}",
            bad_idea_when=bad_idea_when,
            complexity=complexity,
            parameters=_parameters(cls),
        )
        return cls

    return register
