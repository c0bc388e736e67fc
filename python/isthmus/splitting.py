"""A graph split between device, edge and cloud, by every partition policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import _isthmus
import pandas as pd

from isthmus.scenario import Overrides, override_pairs


class Split:
    """What every partition policy makes of a graph on tiers of machines.

    Attributes
    ----------
    data : dict
        Everything, as ``isthmus split --json`` prints it: times in s, energy in J.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @property
    def plans(self) -> pd.DataFrame:
        """One row per policy.

        Columns: operators (per tier), latency (s), client_energy (J), bytes (sent by the client),
        objective, accuracy_loss, refusal (why it has no plan).
        """
        columns = ["policy", "operators", "latency", "client_energy", "bytes", "objective",
                   "accuracy_loss", "refusal"]
        return pd.DataFrame(self.data["plans"], columns=columns).set_index("policy")

    @property
    def crossings(self) -> pd.DataFrame:
        """The tensors that leave a tier: policy, operator, hop, encoding, bytes."""
        rows = [{"policy": p["policy"], **c} for p in self.data["plans"]
                for c in p.get("crossings", [])]
        return pd.DataFrame(rows, columns=["policy", "operator", "hop", "encoding", "bytes"])


def _figures(value: float | Sequence[float] | None) -> list[float]:
    if value is None:
        return []
    return [float(value)] if isinstance(value, (int, float)) else [float(v) for v in value]


def split(
    model: str,
    tiers: Sequence[str],
    *,
    bandwidth: float | Sequence[float],
    down_bandwidth: float | Sequence[float] | None = None,
    rtt: float | Sequence[float] = 0.0,
    slowdown: float | Sequence[float] = 1.0,
    variant: str = "",
    batch: int = 1,
    sequence: int = 0,
    image: int = 0,
    input_bytes: float | None = None,
    result_bytes: float = 0.0,
    radio_power: float = 0.0,
    latency_weight: float = 1.0,
    energy_weight: float = 0.0,
    encode: Sequence[str] = (),
    accuracy_loss: float = 0.0,
    overrides: Overrides | None = None,
) -> Split:
    """Split a graph between two to four machines.

    Parameters
    ----------
    model : str
        Model of the catalogue, built-in graph, or a graph file.
    tiers : sequence of str
        Devices of the catalogue, or ``"device/unit"``, from the client outwards.
    bandwidth, down_bandwidth : float or sequence of float
        Bytes/s between neighbours, away from the client and towards it; one for all hops or one
        per hop.
    rtt : float or sequence of float
        Round trip of every hop, s.
    slowdown : float or sequence of float
        Factor of each tier's times by its load.
    input_bytes : float, optional
        Size of the inputs as they are sent; by default that of the tensors.
    encode : sequence of str
        Number formats in which tensors may travel.

    Returns
    -------
    Split
        The plans of all policies.

    Raises
    ------
    InputError
        For names and figures that do not fit, and for language models.
    """
    return Split(json.loads(_isthmus.split(
        model=model, tiers=list(tiers), bandwidth=_figures(bandwidth),
        down_bandwidth=_figures(down_bandwidth), rtt=_figures(rtt), slowdown=_figures(slowdown),
        variant=variant, batch=batch, sequence=sequence, image=image,
        input=-1.0 if input_bytes is None else input_bytes, result=result_bytes,
        radio_power=radio_power, latency_weight=latency_weight, energy_weight=energy_weight,
        encode=list(encode), accuracy_loss=accuracy_loss,
        overrides=override_pairs(overrides))))
