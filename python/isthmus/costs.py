"""Costs of runs beside each other."""

from __future__ import annotations

import math

from isthmus.errors import InputError
from isthmus.results import Result


def break_even(first: Result, second: Result) -> float:
    """Months (of 730 h) after which both have cost the same, what is paid at once included.

    Infinite when one of them is never dearer than the other. Both runs need a ledger (docs/cost.md).
    """
    for result in (first, second):
        if "ledger" not in result.summary:
            raise InputError(f"{result.name} keeps no ledger; see docs/cost.md")
    currencies = {result.summary["ledger"]["currency"] for result in (first, second)}
    if len(currencies) > 1:
        raise InputError(f"costs in {' and '.join(sorted(currencies))} cannot be compared")
    at_once = first.metrics["cost_at_once"] - second.metrics["cost_at_once"]
    running = second.metrics["running_cost_per_month"] - first.metrics["running_cost_per_month"]
    if at_once * running > 0:
        return at_once / running
    return 0.0 if at_once == running == 0 else math.inf
