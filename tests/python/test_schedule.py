"""Schedules of graphs over units: tables that fit together, pictures, errors that help."""

import pathlib

import isthmus
import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd
import pytest
from isthmus import plot

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found():
    return isthmus.schedule("yolov5n", "rockchip-rk3588", units=["gpu", "cpu"], compare=True)


def test_tables_fit_together(found):
    operators, units = found.operators, found.units
    assert list(units.index) == ["gpu", "cpu"]
    assert operators["end"].max() == pytest.approx(found.makespan)
    busy = (operators["end"] - operators["start"]).groupby(operators["unit"]).sum()
    for unit, row in units.iterrows():
        assert busy.get(unit, 0) == pytest.approx(row["busy"])
        assert row["operators"] == (operators["unit"] == unit).sum()
    # Nobody starts before what it waits for has arrived.
    for t in found.transfers.itertuples():
        assert operators.loc[t.to, "start"] >= t.end - 1e-9
    assert found.speedup == pytest.approx(units["alone"].min() / found.makespan)
    assert found.compared.loc["heft", "makespan"] == found.makespan
    assert "yolov5n" in repr(found)


def test_a_unit_alone_is_what_explain_says():
    alone = isthmus.schedule("resnet-50", "raspberry-pi-5")
    assert alone.makespan == pytest.approx(
        isthmus.explain("resnet-50", "raspberry-pi-5").time(), rel=1e-6
    )
    assert alone.speedup == pytest.approx(1, rel=1e-6)
    assert alone.transfers.empty and alone.compared.empty


def test_what_a_unit_cannot_run_has_no_time_alone():
    npu = isthmus.schedule("bert-base", "apple-m4", variant="int8").units.loc["npu"]
    assert npu["alone"] == float("inf")
    assert "embedding" in npu["refusal"]


def test_pictures(found, tmp_path):
    ax = plot.gantt(found)
    ax.figure.savefig(tmp_path / "schedule.png", dpi=80)
    assert (tmp_path / "schedule.png").stat().st_size > 5000
    assert len(ax.patches) >= len(found.operators)
    assert ax.get_xlabel() == "time / ms"
    found.save_svg(tmp_path / "schedule.svg")
    assert (tmp_path / "schedule.svg").read_text(encoding="utf-8").startswith("<svg")


def test_errors_name_what_is_wrong():
    with pytest.raises(isthmus.InputError, match='has no unit "tpu"'):
        isthmus.schedule("resnet-50", "rockchip-rk3588", units=["tpu"])
    with pytest.raises(isthmus.InputError, match='did you mean "heft"'):
        isthmus.schedule("resnet-50", "rockchip-rk3588", scheduler="hefty")
    with pytest.raises(
        isthmus.InputError, match=r"no unit can run operator '.*' of kind embedding"
    ):
        isthmus.schedule("bert-base", "coral-edge-tpu", variant="int8")
    with pytest.raises(isthmus.InputError, match="operator graph"):
        isthmus.schedule("llama-3.1-8b", "rockchip-rk3588")


def test_a_service_of_a_scenario():
    path = ROOT / "scenarios" / "examples" / "phone_units.json"
    found = isthmus.schedule(scenario=path, service="detector")
    assert set(found.units.index) <= {"gpu", "cpu", "npu", "little"}
    with pytest.raises(isthmus.InputError, match="name a service: detector, classifier"):
        isthmus.schedule(scenario=path)


def test_a_run_takes_what_the_schedule_says(tmp_path):
    text = """{"isthmus": 1, "name": "alone", "duration": "20 s",
      "nodes": {"phone": {"device": "snapdragon-8-gen3"}},
      "services": {"s": {"model": "resnet-50", "variant": "fp16", "on": "phone",
                         "units": ["gpu", "cpu"], "batching": "none"}},
      "workload": [{"source": "deterministic", "rate": "1 /s", "target": "s",
                    "clients": {"on": "phone"}}]}"""
    (tmp_path / "alone.json").write_text(text)
    requests = isthmus.run(tmp_path / "alone.json", directory=tmp_path / "run").requests
    found = isthmus.schedule(scenario=tmp_path / "alone.json")
    assert len(requests) > 10
    served = (requests["served"] - requests["started"]).dropna()
    assert served.to_numpy() == pytest.approx(found.makespan, abs=1e-9)
    # On the same units without sharing, the same model takes what its best unit takes.
    assert found.makespan < found.units["alone"].min()


@pytest.fixture(scope="module")
def run_with_operators(tmp_path_factory):
    overrides = {"/results/operators": True, "/duration": "6 s"}
    path = ROOT / "scenarios" / "examples" / "phone_units.json"
    return isthmus.run(path, overrides=overrides), isthmus.run(path, overrides={"/duration": "6 s"})


def test_recording_operators_changes_nothing(run_with_operators):
    recorded, plain = run_with_operators
    # More events, since nothing is leapt over, but the same dates to the nanosecond.
    assert recorded.summary["events"] > plain.summary["events"]
    assert recorded.requests.equals(plain.requests)
    with pytest.raises(isthmus.InputError, match="kept no operators"):
        plain.operators  # noqa: B018


def test_operators_lie_inside_their_requests(run_with_operators):
    recorded = run_with_operators[0]
    operators = recorded.operators
    for _, rows in operators.groupby(["node", "lane"], observed=True):
        rows = rows.sort_values("start")
        assert (rows["start"].to_numpy()[1:] >= rows["end"].to_numpy()[:-1] - 1e-9).all()
    for service, requests in recorded.requests.groupby("service", observed=True):
        rows = operators[operators["service"] == service]
        done = requests.dropna(subset=["served"])
        # One whole graph per request that was served.
        graph = rows["operator"].nunique()
        assert len(rows) >= graph * len(done)
        first = done.iloc[0]
        inside = rows[(rows["start"] >= first["started"]) & (rows["end"] <= first["served"])]
        assert len(inside) == graph
        assert inside["end"].max() == pytest.approx(first["served"], abs=1e-9)


def test_the_timeline_is_drawn(run_with_operators, tmp_path):
    recorded, plain = run_with_operators
    ax = plot.operators(recorded, start=3.0, end=3.5)
    ax.figure.savefig(tmp_path / "operators.png", dpi=80)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cpu", "gpu", "npu"]
    assert ax.get_xlim() == (3.0, 3.5)
    assert plot.operators(recorded).get_xlim()[0] < 0.1
    with pytest.raises(ValueError, match="nothing ran on node 9"):
        plot.operators(recorded, node=9)
    with pytest.raises(ValueError, match="no samples"):
        plot.power(plain)


def test_power_over_time_is_drawn(run_with_operators, tmp_path):
    recorded = run_with_operators[0]
    at = np.arange(1, 401) * 0.01
    busy = (at % 1 < 0.6).astype(float)
    traced = isthmus.Result(recorded.summary, "", recorded.directory)
    traced.node_samples = pd.DataFrame(
        {
            "at": at,
            "group": "phone",
            "node": 0,
            "power": 1.5 + 4 * busy,
            "temperature": 25 + 20 * (1 - np.exp(-at / 2)),
            "speed": np.where(at > 2, 0.7, 1.0),
            "busy": busy,
        }
    )
    watts, heat, clock = plot.power(traced)
    watts.figure.savefig(tmp_path / "power.png", dpi=80)
    assert watts.get_title() == "phone, node 0"
    assert heat.lines[0].get_ydata().max() < 45
    assert len(clock.lines) == 2
    with pytest.raises(ValueError, match="no samples of node 3"):
        plot.power(traced, node=3)


def test_power_traces_come_from_runs():
    path = ROOT / "scenarios" / "examples" / "hot_phone.json"
    run = isthmus.run(path, overrides={"/duration": "90 s"})
    samples = run.node_samples
    assert len(samples) == 9000
    watts, heat, clock = plot.power(run)
    # Means of stretches keep the mean power.
    assert watts.lines[0].get_ydata().mean() == pytest.approx(samples["power"].mean(), rel=1e-9)
    assert heat.lines[0].get_ydata().max() <= samples["temperature"].max()
    assert {line.get_label() for line in clock.lines} == {"busy share", "clock"}
