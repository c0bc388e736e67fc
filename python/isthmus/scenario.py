"""Scenarios: reading, checking, running."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import _isthmus
import pandas as pd

from isthmus.errors import InputError
from isthmus.results import Result

Overrides = Mapping[str, Any]


def override_pairs(overrides: Overrides | None) -> list[tuple[str, str]]:
    """JSON pointer and JSON text of each override."""
    return [(pointer, json.dumps(value)) for pointer, value in (overrides or {}).items()]


class Scenario:
    """A scenario that was read and found sound; immutable.

    Made by :func:`load` and :func:`loads`.
    """

    def __init__(
        self, loaded: _isthmus.Loaded, source: tuple[str, str], overrides: Overrides
    ) -> None:
        self._loaded = loaded
        self._source = source  # ("path", path) or ("text", JSON)
        self._overrides = dict(overrides)

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self._loaded.name

    @property
    def json(self) -> dict[str, Any]:
        """The scenario with everything resolved."""
        return json.loads(self._loaded.json)

    @property
    def alternatives(self) -> list[str]:
        """Labels of what its ``compare`` section compares; empty without one."""
        return self._loaded.alternatives

    @property
    def replications(self) -> int:
        """Runs with different seeds that :func:`isthmus.compare` makes of each alternative."""
        return self._loaded.replications

    @property
    def notices(self) -> list[str]:
        """Warnings found while reading, e.g. extrapolated kernel times."""
        return self._loaded.notices

    def with_overrides(self, overrides: Overrides) -> Scenario:
        """Return the same scenario with other values.

        Parameters
        ----------
        overrides : mapping
            JSON pointer to value, e.g. ``{"/offload/policy": "always-cloud"}``. Dimensional values
            are strings with a unit, as in scenario files.
        """
        return _read(self._source, {**self._overrides, **overrides})

    def __repr__(self) -> str:
        return f"<isthmus.Scenario {self.name!r}, {len(self.alternatives)} alternatives>"


def _read(source: tuple[str, str], overrides: Overrides) -> Scenario:
    kind, text = source
    pairs = override_pairs(overrides)
    if kind == "path":
        loaded = _isthmus.load(text, pairs)
    else:
        loaded = _isthmus.load_text(text, pairs, os.getcwd())
    return Scenario(loaded, source, overrides)


def load(path: str | os.PathLike[str], *, overrides: Overrides | None = None) -> Scenario:
    """Read a scenario file.

    Parameters
    ----------
    path : path
        Scenario file (JSON with comments).
    overrides : mapping, optional
        JSON pointer to value, applied after ``extends``.

    Raises
    ------
    InputError
        With up to 20 problems, each with file, line, column and JSON pointer.
    """
    return _read(("path", os.fspath(path)), overrides or {})


def loads(text: str | Mapping[str, Any], *, overrides: Overrides | None = None) -> Scenario:
    """Read a scenario from JSON text or a dictionary; relative paths start in the working folder."""
    return _read(("text", text if isinstance(text, str) else json.dumps(text)), overrides or {})


def scenario_of(
    scenario: Scenario | str | os.PathLike[str] | Mapping[str, Any], overrides: Overrides | None
) -> Scenario:
    """Accept a scenario, a path or a dictionary, with overrides on top."""
    if isinstance(scenario, Scenario):
        return scenario.with_overrides(overrides) if overrides else scenario
    if isinstance(scenario, Mapping):
        return loads(scenario, overrides=overrides)
    return load(scenario, overrides=overrides)


def run(
    scenario: Scenario | str | os.PathLike[str] | Mapping[str, Any],
    *,
    overrides: Overrides | None = None,
    seed: int | None = None,
    replication: int = 0,
    directory: str | os.PathLike[str] | None = None,
    csv: bool = False,
    html: bool = False,
    trace: bool = False,
) -> Result:
    """Simulate a scenario once, without the alternatives of its ``compare`` section.

    Parameters
    ----------
    scenario : Scenario, path or dict
        What to simulate.
    overrides : mapping, optional
        JSON pointer to value.
    seed : int, optional
        Replaces the scenario's master seed. Equal seeds give bit-identical runs.
    replication : int
        0 uses the seed itself, others a seed derived from it.
    directory : path, optional
        Where to keep the results; must not exist. By default they live as long as the result object.
    csv, html, trace : bool
        Also write ``requests.csv``, ``report.html``, ``trace.json`` (need `directory`).

    Returns
    -------
    Result
        Metrics, and tables as pandas data frames.
    """
    if seed is not None:
        overrides = {**(overrides or {}), "/seed": seed}
    if directory is None and (csv or html or trace):
        raise InputError("csv, html and trace need a directory to be written to")
    target = scenario_of(scenario, overrides)
    keep = None
    if directory is None:
        keep = tempfile.TemporaryDirectory(prefix="isthmus-")
        directory = pathlib.Path(keep.name) / "run"
    summary = _isthmus.run(target._loaded, replication, os.fspath(directory), csv, html, trace)
    return Result(json.loads(summary), summary, pathlib.Path(directory), keep)


def validate(path: str | os.PathLike[str]) -> list[str]:
    """Return the problems of a scenario file; an empty list when it is sound."""
    try:
        load(path)
    except InputError as error:
        return error.problems
    return []


def schema() -> dict[str, Any]:
    """JSON Schema of the scenario language."""
    return json.loads(_isthmus.schema())


def policies() -> pd.DataFrame:
    """All policies: kind, name, summary, source, when each is a bad idea, parameters with defaults."""
    columns = ["kind", "name", "summary", "source", "bad_idea_when", "parameters"]
    rows = [
        (*row[:5], {name: default for name, default, _ in row[5]}) for row in _isthmus.policies()
    ]
    return pd.DataFrame(rows, columns=columns)
