"""Many runs: comparisons under common random numbers, and sweeps."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import _isthmus
import pandas as pd

from isthmus.scenario import Overrides, Scenario, run, scenario_of


class Comparison:
    """Alternatives of one scenario, each with the same replications.

    Attributes
    ----------
    data : dict
        Everything, as in ``comparison.json``.
    text : str
        The table and the verdict that the command line prints.
    runs : dict of str to list of dict
        Summaries of all runs by alternative.
    """

    def __init__(self, data: dict[str, Any], text: str, summaries: list[list[str]]) -> None:
        self.data = data
        self.text = text
        labels = [a["label"] for a in data["alternatives"]]
        self.runs = {
            label: [json.loads(s) for s in one]
            for label, one in zip(labels, summaries, strict=True)
        }

    @property
    def verdict(self) -> str:
        """The recommendation in words, or why it is too close to call."""
        return self.data["verdict"]

    @property
    def too_close(self) -> bool:
        """True when the best two cannot be told apart."""
        return self.data["too_close"]

    @property
    def best(self) -> str:
        """Label of the alternative that ranks first."""
        best = self.data["best"]
        return best if isinstance(best, str) else self.data["alternatives"][best]["label"]

    @property
    def table(self) -> pd.DataFrame:
        """Mean of every metric over the replications, a row per alternative."""
        return self._frame("metrics", "mean")

    @property
    def half_widths(self) -> pd.DataFrame:
        """Half-widths of the 95 % intervals of :attr:`table`."""
        return (self._frame("metrics", "high") - self._frame("metrics", "low")) / 2

    def _frame(self, part: str, field: str) -> pd.DataFrame:
        rows = {
            a["label"]: {k: m[field] for k, m in a[part].items()} for a in self.data["alternatives"]
        }
        return pd.DataFrame.from_dict(rows, orient="index").astype(float)

    def __repr__(self) -> str:
        return self.text


def compare(
    scenario: Scenario | str | os.PathLike[str] | Mapping[str, Any],
    pointer: str | None = None,
    values: Sequence[Any] | None = None,
    *,
    overrides: Overrides | None = None,
    replications: int | None = None,
    threads: int = 1,
    directory: str | os.PathLike[str] | None = None,
) -> Comparison:
    """Compare alternatives with the same seeds.

    Parameters
    ----------
    scenario : Scenario, path or dict
        What to simulate.
    pointer, values : str and sequence, optional
        JSON pointer of the field to vary and its values; without them the scenario's ``compare``
        section.
    overrides : mapping, optional
        JSON pointer to value, for all alternatives.
    replications : int, optional
        Seeds per alternative; one cannot tell a difference from chance, five are a good start.
    threads : int
        Runs at the same time; 0 = one per core. Results do not depend on it.
    directory : path, optional
        Keeps the results of every run below it.

    Returns
    -------
    Comparison
        Table, paired differences and verdict.
    """
    if (pointer is None) != (values is None):
        raise TypeError("give both a pointer and its values, or neither")
    if replications is not None:
        overrides = {**(overrides or {}), "/replications": replications}
    target = scenario_of(scenario, overrides)
    axes = [] if pointer is None else [(pointer, [json.dumps(v) for v in values or ()])]
    data, text, summaries = _isthmus.compare(
        target._loaded, axes, threads, "" if directory is None else os.fspath(directory)
    )
    return Comparison(json.loads(data), text, summaries)


def sweep(
    scenario: Scenario | str | os.PathLike[str] | Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
    *,
    overrides: Overrides | None = None,
    metrics: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Run every combination of field values once.

    Parameters
    ----------
    scenario : Scenario, path or dict
        What to simulate.
    grid : mapping
        JSON pointer to the values it takes; all combinations, the last pointer fastest.
    overrides : mapping, optional
        JSON pointer to value, for all points.
    metrics : sequence of str, optional
        Names of the metrics to keep (docs/metrics.md); default all.

    Returns
    -------
    pandas.DataFrame
        A row per point, the grid's pointers first.
    """
    base = scenario_of(scenario, overrides)
    rows = []
    for point in itertools.product(*grid.values()):
        setting = dict(zip(grid, point, strict=True))
        found = run(base, overrides=setting).metrics
        rows.append({**setting, **(found if metrics is None else found[list(metrics)]).to_dict()})
    return pd.DataFrame(rows)
