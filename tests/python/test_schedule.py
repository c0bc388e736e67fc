"""Schedules of graphs over units: tables that fit together, pictures, errors that help."""

import pathlib

import isthmus
import matplotlib

matplotlib.use("Agg")
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
