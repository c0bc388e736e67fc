"""A graph on several units of a device: who runs what and when, and what that gains."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import _isthmus
import pandas as pd

from isthmus.scenario import Overrides, override_pairs


class Schedule:
    """One input or batch of a graph on the units of a device.

    Attributes
    ----------
    data : dict
        Everything, as ``isthmus schedule --json`` prints it: times in s, energy in J.
    svg : str
        The Gantt chart as ``isthmus schedule --gantt`` writes it.
    """

    def __init__(self, data: dict[str, Any], svg: str) -> None:
        self.data = data
        self.svg = svg

    @property
    def makespan(self) -> float:
        """Time from the start to the last operator's end, s."""
        return self.data["makespan"]

    @property
    def speedup(self) -> float:
        """Time on the best unit alone over the makespan; NaN when no unit can run everything."""
        best = self.data["best_alone"]
        return self.units.loc[best, "alone"] / self.makespan if best is not None else float("nan")

    @property
    def units(self) -> pd.DataFrame:
        """One row per unit.

        Columns: kind, lanes, operators, busy (s), share (of the makespan, per lane), energy (J
        above idle), alone (s, everything on this unit; infinite when it cannot), alone_energy, refusal
        (why it cannot).
        """
        rows = self.data["units"]
        frame = pd.DataFrame(rows).set_index("name").rename_axis("unit")
        for column in ("alone", "alone_energy"):
            frame[column] = frame[column].astype(float).fillna(float("inf"))
        frame.insert(4, "share", frame["busy"] / self.makespan / frame["lanes"])
        return frame

    @property
    def operators(self) -> pd.DataFrame:
        """One row per operator, by start.

        Columns: kind, module, unit, lane, start (s), end (s), flops, bytes, evidence, critical (on
        the chain that decides the end).
        """
        return pd.DataFrame(self.data["operators"]).set_index("name").rename_axis("operator")

    @property
    def transfers(self) -> pd.DataFrame:
        """Tensors that go to another unit: from, to, their units and lanes, start, end, bytes."""
        columns = "from to from_unit from_lane to_unit to_lane start end bytes critical".split()
        return pd.DataFrame(self.data["transfers"], columns=columns)

    @property
    def compared(self) -> pd.DataFrame:
        """What every list scheduler makes of it; empty unless ``compare`` was set.

        Columns: makespan (s), planned (s, without contention), transfers, optimal, refusal.
        """
        columns = ["scheduler", "makespan", "planned", "transfers", "optimal", "refusal"]
        return pd.DataFrame(self.data["compared"], columns=columns).set_index("scheduler")

    def save_svg(self, path: str | os.PathLike[str]) -> None:
        """Write the Gantt chart; :func:`isthmus.plot.gantt` draws it for other formats."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.svg)

    def __repr__(self) -> str:
        d = self.data
        return (
            f"<Schedule {d['model']} ({d['variant']}) on {d['device']} by {d['scheduler']}: "
            f"{self.makespan:.4g} s, {self.speedup:.3g} times as fast as the best unit alone>"
        )


def schedule(
    model: str = "",
    on: str = "",
    *,
    units: Sequence[str] = (),
    scheduler: str = "",
    variant: str = "",
    batch: int = 1,
    sequence: int = 0,
    image: int = 0,
    compare: bool = False,
    scenario: str | os.PathLike[str] = "",
    service: str = "",
    overrides: Overrides | None = None,
) -> Schedule:
    """Spread the operators of a graph over the units of a device.

    Parameters
    ----------
    model, on : str
        Model (or graph file) and device of the catalogue. Leave both empty to schedule a service of
        ``scenario``.
    units : sequence of str
        Units to use; default: those of the service, else all.
    scheduler : str
        List scheduler; default: that of the service, else "heft".
    variant : str
        Variant or number format; default: the model's.
    batch : int
        Inputs at once.
    sequence, image : int
        Tokens of the input, or side of the input image; default: as published.
    compare : bool
        Also ask every other list scheduler.
    scenario, service
        A scenario file and one of its services.
    overrides : mapping
        Further settings by JSON pointer.

    Raises
    ------
    isthmus.InputError
        For names and figures that do not fit, and for operators that no unit can run.
    """
    text, svg = _isthmus.schedule(
        model=model,
        device=on,
        scenario=os.fspath(scenario),
        service=service,
        units=list(units),
        scheduler=scheduler,
        variant=variant,
        batch=batch,
        sequence=sequence,
        image=image,
        compare=compare,
        overrides=override_pairs(overrides),
    )
    return Schedule(json.loads(text), svg)
