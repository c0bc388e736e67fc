"""Parameters of a service from a log of its requests, and how well they predict the rest of it."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import _isthmus
import pandas as pd

from isthmus.scenario import Overrides, override_pairs


class Calibration:
    """A fit and its errors.

    Attributes
    ----------
    data : dict
        Everything, as ``isthmus calibrate --json`` prints it: times in s.
    text : str
        The tables that ``isthmus calibrate`` prints.
    """

    def __init__(self, data: dict[str, Any], text: str) -> None:
        self.data = data
        self.text = text

    @property
    def parameters(self) -> pd.DataFrame:
        """One row per parameter.

        Columns: pointer, unit, before, after, standard_error (NaN unless identified), state, other
        (with which it is confounded), verdict, value (as a scenario writes it).
        """
        frame = pd.DataFrame(self.data["parameters"]).set_index("name").rename_axis("parameter")
        frame["standard_error"] = frame["standard_error"].astype(float)
        return frame

    @property
    def errors(self) -> pd.DataFrame:
        """One row per part ("fit", "held out"), metric and statistic.

        Columns: measured, before, after (s), error_before, error_after (relative).
        """
        frame = pd.DataFrame(self.data["errors"]).set_index(["part", "metric", "statistic"])
        return frame.astype(float)

    @property
    def overrides(self) -> dict[str, Any]:
        """The fitted values by JSON pointer, for :func:`isthmus.run` and the like."""
        changed = (p for p in self.data["parameters"] if p["after"] != p["before"])
        return {p["pointer"]: p["value"] for p in changed}

    def __repr__(self) -> str:
        d = self.data
        return (
            f"<Calibration of {d['service']!r} on {d['fitted']} of {d['requests']} requests: "
            f"loss {d['loss_before']:.3g} before, {d['loss_after']:.3g} after>"
        )


def calibrate(
    scenario: str | os.PathLike[str],
    measured: str | os.PathLike[str],
    *,
    service: str = "",
    format: str = "auto",
    unit: str = "s",
    prompt_tokens: int | None = None,
    output_tokens: int | None = None,
    tokens_per_hash: int = 0,
    experiment: int | None = None,
    model: str = "",
    fit_share: float = 0.5,
    split: str = "time",
    seed: int = 1,
    parameters: Sequence[str] = (),
    kv_blocks: int | None = None,
    overrides: Overrides | None = None,
    threads: int = 1,
    out: str | os.PathLike[str] = "",
) -> Calibration:
    """Fit overheads and efficiencies of a service to a log of its requests.

    Parameters
    ----------
    scenario, measured : str
        Files: the system, and the log.
    service : str
        Which service of the scenario; default: the only one.
    format : str
        "auto", "vllm", "tgi", "triton", "csv" or "jsonl"; see docs/calibration.md.
    unit : str
        Of times in csv and jsonl whose name has none: "s", "ms", "us" or "ns".
    prompt_tokens, output_tokens : int
        Of every request, for logs that do not say.
    tokens_per_hash : int
        Tokens that one of "hash_ids" stands for; 0: they are not read.
    experiment, model
        Which part of a Triton file.
    fit_share, split, seed
        Share of the requests to fit on: the first ones ("time") or drawn with ``seed`` ("random").
    parameters : sequence of str
        What to fit; default: what suits the service.
    kv_blocks : int
        KV blocks of a replica, as the server counts them.
    overrides : mapping
        Further settings by JSON pointer.
    threads : int
        Simulations at the same time; 0: one per core.
    out : str
        Scenario to write, which extends ``scenario`` by the fitted values.

    Raises
    ------
    isthmus.InputError
        For logs and scenarios that are wrong or do not fit together.
    """
    if split not in ("time", "random"):
        raise ValueError(f"split must be 'time' or 'random', not {split!r}")
    text, tables, extended = _isthmus.calibrate(
        scenario=os.fspath(scenario),
        measured=os.fspath(measured),
        service=service,
        format=format,
        unit=unit,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        tokens_per_hash=tokens_per_hash,
        experiment=experiment,
        model=model,
        fit_share=fit_share,
        random_split=split == "random",
        seed=seed,
        parameters=list(parameters),
        kv_blocks=kv_blocks,
        overrides=override_pairs(overrides),
        threads=threads,
        out=os.fspath(out),
    )
    if extended:
        pathlib.Path(out).write_text(extended, encoding="utf-8")
    return Calibration(json.loads(text), tables)
