"""What reports against measurements share."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def data_folder() -> pathlib.Path:
    """The folder of the measurements; it may not exist."""
    shared = os.environ.get("ISTHMUS_DATA") or ROOT.parent / "shared"
    return pathlib.Path(shared) / "data"


def program(*arguments: str) -> str:
    """What the command-line program prints; its errors are ours."""
    cli = os.environ.get("ISTHMUS_CLI") or str(ROOT / "isthmus")
    done = subprocess.run([cli, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr or done.stdout)
    return done.stdout


def quantile(values: list[float], q: float) -> float:
    """Linear interpolation between order statistics."""
    values = sorted(values)
    at = (len(values) - 1) * q
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)
