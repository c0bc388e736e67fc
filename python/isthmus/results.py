"""Results of one run."""

from __future__ import annotations

import functools
import pathlib
import tempfile
from typing import Any

import _isthmus
import h5py
import numpy as np
import pandas as pd

from isthmus.errors import InputError


class Result:
    """What one run gave. Tables are read from ``run.h5`` when first asked for.

    Attributes
    ----------
    summary : dict
        The whole summary, as in ``summary.json``.
    directory : pathlib.Path
        Where the files of the run are.
    """

    def __init__(
        self,
        summary: dict[str, Any],
        text: str,
        directory: pathlib.Path,
        keep: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self.summary = summary
        self.directory = directory
        self._text = text
        self._keep = keep

    @property
    def name(self) -> str:
        """Name of the scenario, with the compared values if there are any."""
        run = self.summary["run"]
        return f"{run['name']}: {run['label']}" if run["label"] else run["name"]

    @functools.cached_property
    def metrics(self) -> pd.Series:
        """Every metric of the measured part of the run by name; units in ``metrics.attrs``."""
        entries = self.summary["metrics"]
        series = pd.Series({k: m["value"] for k, m in entries.items()}, dtype=float, name=self.name)
        series.attrs = {k: m["unit"] for k, m in entries.items()}
        return series

    @property
    def fingerprint(self) -> str:
        """64 bits over all executed events, hexadecimal; equal runs have equal fingerprints."""
        return self.summary["fingerprint"]

    @property
    def conservation(self) -> dict[str, int]:
        """Counts of created, completed, rejected, failed and unfinished requests, warm-up included."""
        counts = self.summary["requests"]
        return {k: counts[k] for k in ("created", "completed", "rejected", "failed", "in_flight")}

    def report(self) -> str:
        """Return the readable report that the command line prints."""
        return _isthmus.report(self._text)

    @functools.cached_property
    def requests(self) -> pd.DataFrame:
        """One row per request; dates in s since the start of the run, NaN = not reached."""
        frame = self._table("requests")
        frame["latency"] = frame["completed"] - frame["created"]
        return frame

    @functools.cached_property
    def tasks(self) -> pd.DataFrame:
        """One row per task."""
        return self._table("tasks")

    @functools.cached_property
    def decisions(self) -> pd.DataFrame:
        """One row per offload decision: what the policy chose and what was used."""
        return self._table("decisions")

    @functools.cached_property
    def intervals(self) -> pd.DataFrame:
        """Samples of each service over time: queue, running requests, replicas, load."""
        return self._table("intervals")

    @functools.cached_property
    def operators(self) -> pd.DataFrame:
        """One row per operator that ran on units of nodes; needs ``results.operators`` in the scenario."""
        return self._table("operators")

    @functools.cached_property
    def node_samples(self) -> pd.DataFrame:
        """Power traces of machines: W, degrees Celsius, relative clock, busy share."""
        return self._table("node_samples")

    @property
    def services(self) -> pd.DataFrame:
        """Totals of each service."""
        return pd.DataFrame(self.summary["services"]).set_index("name")

    @property
    def nodes(self) -> pd.DataFrame:
        """Totals of each node group: energy in J, cost in the scenario's currency."""
        return pd.DataFrame(self.summary["nodes"]).set_index("name")

    @property
    def links(self) -> pd.DataFrame:
        """Totals of each link: bytes, utilization, and energy in J (NaN without a power)."""
        return pd.DataFrame(
            self.summary["links"], columns=["name", "bytes", "utilization", "energy"]
        ).set_index("name")

    @property
    def updates(self) -> pd.DataFrame:
        """What became of each model update: machines, bytes and times (docs/updates.md).

        Without the curve, which is ``summary["updates"][i]["progress"]``: dates in s and shares of
        the fleet that have the update.
        """
        rows = [
            {k: v for k, v in u.items() if k not in ("progress", "rollback")}
            | {f"rollback_{k}": v for k, v in u.get("rollback", {}).items()}
            for u in self.summary.get("updates", [])
        ]
        return pd.DataFrame(rows, columns=None if rows else ["name"]).set_index("name")

    @property
    def service_levels(self) -> pd.DataFrame:
        """Each service level: events, good ones, error budget (docs/service_levels.md)."""
        rows = [
            {k: v for k, v in level.items() if k not in ("progress", "alerts")}
            for level in self.summary.get("service_levels", [])
        ]
        return pd.DataFrame(rows, columns=None if rows else ["name"]).set_index("name")

    @property
    def alerts(self) -> pd.DataFrame:
        """Alerts by date: since when their condition held, fired and resolved, in s (NaN: active)."""
        rows = [
            {
                k.removesuffix("_ns"): (np.nan if v is None else v * 1e-9) if k.endswith("_ns") else v
                for k, v in alert.items()
            }
            for alert in self.summary.get("alerts", [])
        ]
        columns = ["level", "alert", "severity", "pending", "fired", "resolved"]
        return pd.DataFrame(rows, columns=columns)

    @property
    def rollouts(self) -> pd.DataFrame:
        """Each rollout: outcome, dates in s, requests exposed and errors (docs/rollouts.md).

        Without events, which are ``summary["rollouts"][i]["events"]``, and A/B tests, ``[i]["test"]``.
        """
        rows = [
            {
                k.removesuffix("_ns"): (np.nan if v is None else v * 1e-9) if k.endswith("_ns") else v
                for k, v in rollout.items()
                if k not in ("events", "test")
            }
            for rollout in self.summary.get("rollouts", [])
        ]
        return pd.DataFrame(rows, columns=None if rows else ["name"]).set_index("name")

    @property
    def versions(self) -> pd.DataFrame:
        """What each version of a service with rollouts did: answers, errors, latencies in s, accuracy."""
        rows = self.summary.get("versions", [])
        names = ["service", "version"]
        return pd.DataFrame(rows, columns=None if rows else names).set_index(names)

    @property
    def ledger(self) -> pd.DataFrame:
        """The bill, a row per item: quantity x unit_price = amount; ``attrs`` has currency and hours.

        Empty when the run kept none (docs/cost.md). Amounts in ``summary["ledger"]`` are exact.
        """
        return self._ledger_rows("rows")

    @property
    def carbon(self) -> pd.DataFrame:
        """Emissions in g of CO2 equivalents, rows like those of ``ledger``."""
        return self._ledger_rows("carbon")

    def _ledger_rows(self, which: str) -> pd.DataFrame:
        ledger = self.summary.get("ledger", {"rows": [], "carbon": []})
        columns = ["item", "of", "quantity", "unit", "unit_price", "amount", "at_once"]
        rows = [
            r | {"amount": r["amount_micro"] / 1e6, "at_once": r.get("at_once_micro", 0) / 1e6}
            for r in ledger[which]
        ]
        frame = pd.DataFrame(rows, columns=columns)
        frame.attrs = {k: ledger[k] for k in ("currency", "hours") if k in ledger}
        return frame

    def _table(self, group: str) -> pd.DataFrame:
        columns = {}
        with h5py.File(self.directory / "run.h5") as file:
            if group not in file:
                raise InputError(f"the run kept no {group}; see docs/results_format.md")
            # Indices of services and workloads become their names.
            names = {k: self.summary["run"][k + "s"] for k in ("service", "workload")}
            names |= {
                "first_choice": names["service"],
                "chosen": names["service"],
                "used": names["service"],
            }
            for name, data in file[group].items():
                columns[name] = _column(data, names.get(name))
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        counts = self.conservation
        return f"<isthmus.Result {self.name!r}: {counts['completed']} of {counts['created']} completed>"


def _column(data: h5py.Dataset, names: list[str] | None) -> Any:
    """Values of one column in the form that pandas users expect."""
    values = data[:]
    missing = data.attrs.get("missing")
    absent = values == missing if missing is not None else np.zeros(len(values), dtype=bool)
    if values.dtype == object:
        return data.asstr()[:]
    labels = data.attrs.get("values", names)
    if labels is not None:
        labels = [x.decode() if isinstance(x, bytes) else str(x) for x in labels]
        return pd.Categorical.from_codes(np.where(absent, -1, values.astype(np.int64)), labels)
    if data.attrs.get("units") == "ns":
        return np.where(absent, np.nan, values * 1e-9)
    if absent.any():
        return np.where(absent, np.nan, values.astype(float))
    if data.name.endswith(("/counted", "/succeeded")):
        return values.astype(bool)
    return values
