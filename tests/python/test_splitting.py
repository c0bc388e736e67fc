"""Graphs split between tiers from Python: what the policies promise, and errors that help."""

import isthmus
import pytest

MBPS = 1e6 / 8


@pytest.fixture(scope="module")
def found():
    return isthmus.split(
        "resnet-50", ["raspberry-pi-5", "nvidia-t4"], bandwidth=20 * MBPS, rtt=0.01,
        input_bytes=60_000, result_bytes=400, radio_power=2.0, energy_weight=0.1)


def test_min_cut_is_never_worse(found):
    plans = found.plans
    assert plans["refusal"].fillna("").eq("").all()
    best = plans.loc["min-cut", "objective"]
    assert (plans["objective"] >= best * (1 - 1e-9)).all()
    total = found.data["operators"]
    assert plans["operators"].map(sum).eq(total).all()
    assert plans.loc["client-only", "operators"] == [total, 0]
    assert plans.loc["client-only", "bytes"] == 0
    assert plans.loc["remote-only", "latency"] >= 60_000 / (20 * MBPS) + 0.01


def test_crossings_are_what_is_sent(found):
    sent = found.crossings.groupby("policy")["bytes"].sum()
    for policy, row in found.plans.iterrows():
        assert row["bytes"] == pytest.approx(sent.get(policy, 0.0))
    assert sent["remote-only"] == 60_000


def test_a_link_that_is_down_leaves_the_client():
    down = isthmus.split("resnet-50", ["raspberry-pi-5", "nvidia-t4"], bandwidth=0.0).plans
    assert down.loc["min-cut", "operators"][1] == 0
    assert down.loc["remote-only", "refusal"] or down.loc["remote-only", "latency"] == float("inf")


def test_a_slow_link_keeps_work_at_home():
    slow = isthmus.split("resnet-50", ["raspberry-pi-5", "nvidia-t4"], bandwidth=1000.0).plans
    assert slow.loc["min-cut", "operators"][1] == 0


def test_three_tiers_and_one_figure_per_hop():
    split = isthmus.split(
        "yolov5n", ["raspberry-pi-5", "jetson-orin-nano", "nvidia-t4"],
        bandwidth=[5 * MBPS, 500 * MBPS], rtt=[0.005, 0.03], encode=["int8"], accuracy_loss=0.01)
    assert len(split.plans.loc["min-cut", "operators"]) == 3
    assert set(split.crossings["hop"]) <= {0, 1}


@pytest.mark.parametrize(("change", "says"), [
    ({"model": "resnet-5"}, "resnet-50"),
    ({"tiers": ["raspberry-pi-5"]}, "tiers"),
    ({"bandwidth": -1.0}, "bandwidth"),
    ({"bandwidth": float("nan")}, "bandwidth"),
    ({"bandwidth": [1e6, 1e6, 1e6]}, "bandwidth"),
    ({"slowdown": 0.5}, "slowdown"),
    ({"encode": ["int3"]}, "int3"),
])
def test_errors_name_what_is_wrong(change, says):
    question = {"model": "resnet-50", "tiers": ["raspberry-pi-5", "nvidia-t4"],
                "bandwidth": 1e6} | change
    model, tiers = question.pop("model"), question.pop("tiers")
    with pytest.raises(isthmus.InputError, match=says):
        isthmus.split(model, tiers, **question)
