"""A day of target tracking: how far the number of instances is from what the load asks for (docs/autoscaling.md)."""

import math
import os
import pathlib
import subprocess

import h5py
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_instances_are_within_one_of_what_the_load_asks_for(tmp_path):
    program = os.environ.get("ISTHMUS_CLI", "")
    if not program:
        pytest.skip("ISTHMUS_CLI names no program; ./isthmus test sets it")
    out = tmp_path / "day"
    subprocess.run(
        [program, "run", str(ROOT / "scenarios/reference/r12_target_tracking.json"),
         "--set", "/compare=null", "--set", "/replications=1", "--out", str(out)],
        check=True, capture_output=True)
    with h5py.File(out / "run.h5") as f:
        hours = f["intervals/at"][:] / 3.6e12
        asked = f["intervals/asked_replicas"][:].astype(int)
    off = []
    for h, n in zip(hours, asked):
        if h > 12:
            load = 3.3 * (1 + 0.7 * math.sin(2 * math.pi * h / 24))
            off.append(n - min(10, max(2, math.ceil(load / 0.6))))
    assert len(off) == 1440
    assert max(map(abs, off)) <= 2
    assert sum(abs(d) <= 1 for d in off) / len(off) > 0.98
    assert any(d != 0 for d in off)  # it follows; it does not know the load
