"""Where the time of a model on a device goes, operator by operator, and how sure that is."""

from __future__ import annotations

import json
import os
from typing import Any

import _isthmus
import pandas as pd

from isthmus.scenario import Overrides, override_pairs


class Explanation:
    """Per-operator times of a model on a device.

    Attributes
    ----------
    data : dict
        Everything, as ``isthmus explain --json`` prints it: times in ns, work in flops and bytes,
        rates in operations/s and bytes/s.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @property
    def phases(self) -> list[str]:
        """One name for a graph (the batch), two for a language model (prefill, decode)."""
        return [phase["name"] for phase in self.data["phases"]]

    def index(self, phase: int | str = 0) -> int:
        """Number of a phase; names may be cut short ("decode")."""
        if isinstance(phase, int):
            return range(len(self.phases))[phase]
        found = [i for i, name in enumerate(self.phases) if name.startswith(phase)]
        if len(found) != 1:
            raise KeyError(f"no single phase begins with {phase!r}; there are {self.phases}")
        return found[0]

    def time(self, phase: int | str = 0) -> float:
        """Predicted time of a phase, s."""
        return self.data["phases"][self.index(phase)]["prediction"]["time_ns"] * 1e-9

    def relative_error(self, phase: int | str = 0) -> float:
        """One standard error of that time, relative."""
        return self.data["phases"][self.index(phase)]["prediction"]["relative_error"]

    def evidence(self, phase: int | str = 0) -> str:
        """measured, interpolated, extrapolated or roofline: that of the worst operator."""
        return self.data["phases"][self.index(phase)]["prediction"]["kind"]

    def table(self, phase: int | str = 0) -> pd.DataFrame:
        """One row per operator.

        Columns: kind, flops, bytes, intensity (flops per byte), bound (compute, memory or launch),
        time (s), relative_error, evidence.
        """
        rows = self.data["phases"][self.index(phase)]["operators"]
        frame = pd.DataFrame(
            {
                "kind": [r["kind"] for r in rows],
                "flops": [float(r["flops"]) for r in rows],
                "bytes": [float(r["bytes"]) for r in rows],
                "bound": [r["bound"] for r in rows],
                "time": [r["prediction"]["time_ns"] * 1e-9 for r in rows],
                "relative_error": [r["prediction"]["relative_error"] for r in rows],
                "evidence": [r["prediction"]["kind"] for r in rows],
            },
            index=pd.Index([r["name"] for r in rows], name="operator"),
        )
        frame.insert(3, "intensity", frame["flops"] / frame["bytes"])
        return frame

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{name}: {self.time(i):.4g} s +-{self.relative_error(i):.0%} ({self.evidence(i)})"
            for i, name in enumerate(self.phases)
        )
        d = self.data
        return f"<Explanation {d['model']} ({d['variant']}) on {d['device']}: {parts}>"


def explain(
    model: str = "",
    on: str = "",
    *,
    variant: str = "",
    profile: str | os.PathLike[str] = "",
    batch: int = 1,
    sequence: int = 0,
    context: int = 0,
    image_tokens: int = 0,
    parallel: int = 1,
    data_parallel: int = 1,
    pipeline: int = 1,
    scenario: str | os.PathLike[str] = "",
    service: str = "",
    overrides: Overrides | None = None,
) -> Explanation:
    """Tell where the time of a model on a device goes.

    Parameters
    ----------
    model, on : str
        Model and device of the catalogue ("resnet-50", "raspberry-pi-5"); the device may name a
        unit ("snapdragon-8-gen3/gpu"). Leave both empty to explain a service of ``scenario``.
    variant : str
        Variant or number format; default: the model's.
    profile : path
        Kernel profile (HDF5) instead of the device's own.
    batch : int
        Inputs at once; for language models sequences that decode together.
    sequence, context, image_tokens : int
        Language models: tokens of the prompt (512), of the decode context (the prompt's), and
        prompt tokens that come from an image.
    parallel : int
        Accelerators that share every layer (tensor parallel).
    data_parallel : int
        Ranks of so many accelerators each, with attention of their own, that share a mixture's
        experts.
    pipeline : int
        Stages of consecutive layers, of so many accelerators each.
    scenario, service
        A scenario file and one of its services.
    overrides : mapping
        Further settings by JSON pointer.

    Raises
    ------
    isthmus.InputError
        For names and figures that do not fit.
    """
    return Explanation(
        json.loads(
            _isthmus.explain(
                model=model,
                device=on,
                scenario=os.fspath(scenario),
                service=service,
                variant=variant,
                profile=os.fspath(profile),
                batch=batch,
                sequence=sequence,
                context=context,
                image_tokens=image_tokens,
                parallel=parallel,
                data_parallel=data_parallel,
                pipeline=pipeline,
                overrides=override_pairs(overrides),
            )
        )
    )
