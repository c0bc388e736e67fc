"""Explanations of times: tables that add up, rooflines that hold, errors that help."""

import pathlib

import isthmus
import matplotlib

matplotlib.use("Agg")
import numpy as np
import pytest
from isthmus import plot

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_operators_add_up_to_the_phase():
    for found in (
        isthmus.explain("resnet-50", "amd-epyc-zen4-core", batch=4),
        isthmus.explain("llama-3.1-8b", "nvidia-h100-sxm", batch=16, sequence=1000),
    ):
        for phase in found.phases:
            rows = found.table(phase)
            assert rows["time"].sum() == pytest.approx(found.time(phase), rel=1e-5)


def test_no_operator_beats_the_nominal_roofline():
    found = isthmus.explain("llama-3.1-8b", "nvidia-h100-sxm", batch=64)
    for phase in ("prefill", "decode"):
        rows = found.table(phase)
        rows = rows[rows["flops"] > 0]
        roof = np.minimum(found.data["peak_flops"], found.data["bandwidth"] * rows["intensity"])
        assert (rows["flops"] / rows["time"] <= roof).all()


def test_evidence_follows_the_profile():
    assert isthmus.explain("resnet-50", "raspberry-pi-5").evidence() == "roofline"
    assert isthmus.explain("resnet-50", "amd-epyc-zen4-core").evidence() != "roofline"


def test_a_service_of_a_scenario():
    found = isthmus.explain(scenario=ROOT / "scenarios" / "quickstart.json", service="cloud")
    assert found.phases[1].startswith("decode")
    with pytest.raises(isthmus.InputError, match="name a service: "):
        isthmus.explain(scenario=ROOT / "scenarios" / "quickstart.json")


def test_errors_name_what_is_wrong():
    with pytest.raises(isthmus.InputError, match="did you mean"):
        isthmus.explain("resnet-5O", "raspberry-pi-5")
    with pytest.raises(isthmus.InputError, match="--batch must be"):
        isthmus.explain("resnet-50", "raspberry-pi-5", batch=0)
    with pytest.raises(isthmus.InputError, match="language models"):
        isthmus.explain("resnet-50", "raspberry-pi-5", context=7)
    with pytest.raises(isthmus.InputError, match="takes no images"):
        isthmus.explain("llama-3.1-8b", "nvidia-h100-sxm", image_tokens=7)
    with pytest.raises(KeyError, match="no single phase"):
        isthmus.explain("llama-3.1-8b", "nvidia-h100-sxm").table("verify")


def test_the_roofline_is_drawn(tmp_path):
    found = isthmus.explain("resnet-50", "amd-epyc-zen4-core")
    ax = plot.roofline(found)
    ax.figure.savefig(tmp_path / "roofline.png", dpi=80)
    kinds = {k for k, rows in found.table().groupby("kind") if rows["flops"].sum() > 0}
    assert len(ax.collections) == len(kinds)
