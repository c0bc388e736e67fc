"""Calibration from Python: tables, overrides and files that agree with each other."""

import json

import isthmus
import pytest

SCENARIO = {
    "isthmus": 1,
    "name": "vision",
    "duration": "40 s",
    "nodes": {"n": {}},
    "services": {"s": {"service_time": "10 ms", "on": "n"}},
    "workload": [{"rate": "20 /s"}],
}


@pytest.fixture
def files(tmp_path):
    scenario, log = tmp_path / "scenario.json", tmp_path / "log.csv"
    scenario.write_text(json.dumps(SCENARIO))
    run = isthmus.run(str(scenario), overrides={"/services/s/service_time": "15 ms"})
    rows = run.requests.sort_values("created")
    lines = [f"{r.created:.9f},{r.latency * 1e3:.6f}" for r in rows.itertuples()]
    log.write_text("arrival,latency_ms\n" + "\n".join(lines) + "\n")
    return scenario, log


def test_gives_back_what_made_the_log(files):
    scenario, log = files
    out = scenario.parent / "calibrated.json"
    found = isthmus.calibrate(scenario, log, parameters=["service_time"], out=out)
    row = found.parameters.loc["service_time"]
    assert row["before"] == 0.010
    assert row["after"] == pytest.approx(0.015, rel=1e-3)
    assert abs(found.errors.loc[("held out", "latency", "mean"), "error_after"]) < 0.01
    assert found.errors.loc[("held out", "latency", "mean"), "error_before"] < -0.2
    assert "held-out part" in found.text
    assert found.overrides == {row["pointer"]: row["value"]}
    by_override = isthmus.run(str(scenario), overrides=found.overrides)
    by_file = isthmus.run(str(out))
    assert by_override.metrics["latency.mean"] == by_file.metrics["latency.mean"]


def test_errors_say_where(files, tmp_path):
    scenario, _ = files
    bad = tmp_path / "bad.csv"
    bad.write_text("arrival,latency\n0,-1\n")
    with pytest.raises(isthmus.InputError, match=r"bad.csv:2: \"latency\" must be"):
        isthmus.calibrate(scenario, bad)
    with pytest.raises(ValueError, match="split must be"):
        isthmus.calibrate(scenario, bad, split="odd")
