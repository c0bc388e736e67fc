"""The package as a user meets it."""

import concurrent.futures
import itertools
import json
import pathlib
import subprocess
import sys

import isthmus
import numpy as np
import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "scenarios" / "quickstart.json"


def small(network: str = "fluid", **more) -> dict:
    """Phones that upload to one server for a minute."""
    return {
        "isthmus": 1,
        "name": "small",
        "seed": 3,
        "duration": "60 s",
        "warmup": "5 s",
        "nodes": {
            "phone": {"count": 5, "zone": "field", "tier": "device"},
            "server": {"zone": "room"},
        },
        "network": {
            "model": network,
            "links": {
                "wifi": {"bandwidth": "20 Mbps", "latency": "3 ms"},
                "lan": {"bandwidth": "1 Gbps", "latency": "1 ms"},
            },
            "access": {"phone": ["wifi"]},
            "routes": [{"from": "field", "to": "room", "links": ["lan"]}],
        },
        "services": {
            "s": {"service_time": {"distribution": "exponential", "mean": "20 ms"}, "on": "server"}
        },
        "workload": [
            {
                "name": "load",
                "source": "poisson",
                "rate": "20 /s",
                "target": "s",
                "clients": {"on": "phone", "count": 5},
                "request": {"upload": "30 kB", "download": "1 kB"},
            }
        ],
        **more,
    }


def test_ledger():
    def costs(**node) -> isthmus.Result:
        scenario = small(costs={"currency": "CNY"})
        scenario["nodes"]["server"] |= node
        return isthmus.run(scenario)

    rented = costs(price="10 CNY/h")
    bought = costs(purchase_price="36500 CNY", billing={"kind": "owned", "years": 5})
    assert rented.ledger.attrs["currency"] == "CNY"
    assert rented.ledger["amount"].sum() == pytest.approx(10 * 55 / 3600, abs=1e-6)
    assert rented.metrics.attrs["cost"] == "CNY"
    assert (rented.directory / "ledger.csv").read_text().count("\n") == 2
    assert bought.ledger.iloc[0]["at_once"] == 36500
    assert isthmus.break_even(rented, bought) == pytest.approx(5, rel=1e-5)
    assert isthmus.break_even(rented, rented) == 0
    assert rented.carbon.empty
    plain = isthmus.run(small())
    assert plain.ledger.empty
    with pytest.raises(isthmus.InputError, match="keeps no ledger"):
        isthmus.break_even(plain, rented)


def test_metrics_agree_with_the_tables():
    result = isthmus.run(small())
    frame = result.requests[result.requests["counted"]]
    done = frame[frame["status"] == "completed"]
    assert result.metrics["latency.mean"] == pytest.approx(done["latency"].mean(), rel=1e-9)
    p95 = np.percentile(done["latency"], 95, method="inverted_cdf")
    assert result.metrics["latency.p95"] == pytest.approx(p95, rel=1e-9)
    assert result.metrics.attrs["latency.p95"] == "s"
    assert len(result.requests) == result.conservation["created"]
    assert set(frame["service"].dropna()) == {"s"}


def test_stages_are_in_order():
    frame = isthmus.run(small()).requests
    stages = ["created", "sent", "arrived", "started", "served", "completed"]
    done = frame[frame["status"] == "completed"]
    assert len(done) > 500
    for before, after in itertools.pairwise(stages):
        assert (done[after] >= done[before]).all(), (before, after)


def test_other_tables():
    result = isthmus.run(small())
    assert result.services.loc["s", "utilization"] > 0.2
    assert list(result.nodes.index) == ["phone", "server"]
    assert result.links.loc["wifi", "bytes"] > 1e6
    assert {"at", "service", "queued"} <= set(result.intervals.columns)
    assert "created" in result.report()


def test_rollouts_and_versions():
    assert isthmus.run(small()).rollouts.empty
    assert isthmus.run(small()).versions.empty
    rollout = {"service": "s", "version": {"name": "v2", "error_rate": 0.5}, "at": "2 s", "strategy": "rolling",
               "max_surge": 1, "max_unavailable": 0}
    result = isthmus.run(small(rollouts=[rollout]))
    row = result.rollouts.loc["s/v2"]
    assert (row["outcome"], row["began"], row["service"]) == ("completed", 2.0, "s")
    assert list(result.versions.index) == [("s", "before"), ("s", "v2")]
    assert result.versions.loc[("s", "v2"), "errors"] > 10
    assert set(result.requests["version"]) == {0, 1}


@pytest.mark.parametrize("network", ["fluid", "simgrid"])
def test_same_seed_same_fingerprint_everywhere(network):
    here = isthmus.run(small(network)).fingerprint
    assert isthmus.run(small(network)).fingerprint == here
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        threads = [pool.submit(lambda: isthmus.run(small(network)).fingerprint) for _ in range(4)]
        assert {f.result() for f in threads} == {here}
    code = "import isthmus, json, sys; print(isthmus.run(json.load(sys.stdin)).fingerprint)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(small(network)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == here
    assert isthmus.run(small(network), seed=4).fingerprint != here


def test_backends_agree():
    fluid, simgrid = (isthmus.run(small(n)).requests for n in ("fluid", "simgrid"))
    np.testing.assert_allclose(fluid["latency"], simgrid["latency"], rtol=1e-6, atol=1e-8)


def test_errors_are_those_of_the_command_line():
    with pytest.raises(isthmus.InputError) as caught:
        isthmus.run(small(duraton="60 s", warmup="-1 s"))
    assert len(caught.value.problems) >= 2
    assert 'did you mean "duration"' in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, isthmus.Error)
    with pytest.raises(isthmus.InputError, match="No such file"):
        isthmus.load("nowhere.json")
    with pytest.raises(isthmus.InputError, match="directory"):
        isthmus.run(small(), html=True)


def test_existing_directory_is_not_overwritten(tmp_path):
    with pytest.raises(isthmus.Error):
        isthmus.run(small(), directory=tmp_path)
    result = isthmus.run(small(), directory=tmp_path / "run", csv=True)
    assert len(pd.read_csv(tmp_path / "run" / "requests.csv", comment="#")) == len(result.requests)


def test_overrides():
    base = isthmus.load(ROOT / "scenarios" / "minimal.json")
    changed = base.with_overrides({"/seed": 99})
    assert changed.json["seed"] == 99
    assert isthmus.run(base).fingerprint != isthmus.run(changed).fingerprint


def test_compare_section_and_pointer():
    quick = isthmus.load(QUICKSTART, overrides={"/duration": "8 min"})
    found = isthmus.compare(quick, replications=2, threads=2)
    assert list(found.table.index) == quick.alternatives
    assert len(found.runs["always-cloud"]) == 2
    assert found.best in quick.alternatives
    assert " ".join(found.verdict.split()) in " ".join(found.text.split())
    rates = isthmus.compare(small(), "/workload/0/rate", ["5 /s", "40 /s"], replications=3)
    latency = rates.table["latency.mean"]
    assert latency.iloc[0] < latency.iloc[1]
    same = isthmus.compare(
        small(), "/workload/0/rate", ["5 /s", "40 /s"], replications=3, threads=3
    )
    pd.testing.assert_frame_equal(rates.table, same.table)
    assert isthmus.compare(small(), "/workload/0/rate", ["5 /s", "40 /s"], replications=1).too_close


def test_sweep():
    frame = isthmus.sweep(
        small(),
        {"/workload/0/rate": ["5 /s", "10 /s"], "/seed": [1, 2]},
        metrics=["latency.mean", "throughput"],
    )
    assert len(frame) == 4
    assert list(frame.columns) == ["/workload/0/rate", "/seed", "latency.mean", "throughput"]


def test_validate_schema_and_policies(tmp_path):
    assert isthmus.validate(QUICKSTART) == []
    broken = tmp_path / "broken.json"
    broken.write_text('{"isthmus": 1, "name": "x", "name": "y"}')
    assert any("1:" in p for p in isthmus.validate(broken))
    assert isthmus.schema()["$schema"].startswith("https://json-schema.org/")
    table = isthmus.policies()
    kinds = ("offload routing batching autoscaling list-scheduler governor partition variant "
             "eviction replacement admission placement")
    assert set(kinds.split()) == set(table["kind"])
    assert "min-latency" in set(table["name"])


def test_plots(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    from isthmus import plot

    result = isthmus.run(small())
    for ax in (
        plot.latency_cdf(result),
        plot.timeline(result, column="running"),
        plot.comparison(
            isthmus.compare(small(), "/workload/0/rate", ["5 /s", "40 /s"], replications=2)
        ),
    ):
        assert ax.get_xlabel()
        path = tmp_path / "picture.png"
        ax.figure.savefig(path)
        assert path.stat().st_size > 5000
