"""Policies written in Python: each copies a built-in rule and must give the same events."""

import concurrent.futures
import math
import pathlib

import isthmus
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "scenarios" / "examples"


def fleet(**more) -> dict:
    """Clients in front of three replicas, a service at the edge and their own units."""
    return {
        "isthmus": 1,
        "name": "fleet",
        "seed": 5,
        "duration": "60 s",
        "nodes": {
            "phone": {"count": 4, "zone": "field", "tier": "device"},
            "edge": {"zone": "field", "tier": "edge"},
            "server": {"count": 6, "zone": "room", "tier": "cloud"},
        },
        "network": {
            "model": "fluid",
            "links": {"wan": {"bandwidth": "50 Mbps", "latency": "10 ms"}},
            "routes": [{"from": "field", "to": "room", "links": ["wan"]}],
        },
        "services": {
            "near": {"service_time": {"distribution": "exponential", "mean": "40 ms"}, "on": "edge"},
            "far": {
                "service_time": {"distribution": "exponential", "mean": "25 ms"},
                "on": "server",
                "replicas": 3,
                "max_replicas": 6,
            },
        },
        "offload": {"policy": "min-latency", "candidates": ["near", "far"]},
        "workload": [
            {
                "name": "load",
                "source": "poisson",
                "rate": "80 /s",
                "clients": {"on": "phone", "count": 4},
                "request": {"upload": "20 kB", "download": "1 kB"},
            }
        ],
        **more,
    }


def events(scenario, pointer, policy) -> str:
    return isthmus.run(scenario, overrides={pointer: policy}).fingerprint


def same(scenario, pointer, ours, theirs):
    """Ours does what theirs does, and what is not the scenario's own choice anyway."""
    assert events(scenario, pointer, ours) == events(scenario, pointer, theirs)


@isthmus.policy("offload", "py-min-latency")
class MinLatency:
    """The candidate that should answer first."""

    def decide(self, view):
        def estimate(c):
            slots = max(1, c.slots)
            full = min(max(c.parallel_speedup, 1.0), slots)
            ahead = c.queued + c.running
            together = min(ahead + 1, slots)
            speedup = 1 + (full - 1) * (together - 1) / (slots - 1) if slots > 1 else 1.0
            departures = max(0.0, ahead - slots + 1)
            return c.network + departures * c.service / full + c.service * together / speedup

        best = min(view.candidates, key=estimate)
        return best.name, estimate(best), "py: first to answer"


@isthmus.policy("routing", "py-least-outstanding")
class LeastOutstanding:
    def choose(self, view):
        return min(range(len(view.replicas)), key=lambda i: view.replicas[i].outstanding)


@isthmus.policy("batching", "py-greedy")
class Greedy:
    def __init__(self, max_batch=isthmus.Parameter(4, unit="count", min=1, max=64)):
        self.max_batch = max_batch

    def decide(self, view):
        return min(view.waiting, self.max_batch)


@isthmus.policy("autoscaling", "py-fixed")
class Fixed:
    def __init__(self, replicas=isthmus.Parameter(2, unit="count", min=1, max=100)):
        self.replicas = replicas

    def decide(self, view):
        assert view.observed_at <= view.now
        return self.replicas, "as told"


@isthmus.policy("admission", "py-always")
class Always:
    def decide(self, view):
        return True


@isthmus.policy("variant", "py-fastest")
class Fastest:
    def choose(self, view):
        return min(range(len(view.options)), key=lambda i: view.options[i].service)


@isthmus.policy("governor", "py-powersave")
class Powersave:
    def decide(self, view):
        return 0


@isthmus.policy("eviction", "py-lru")
class EvictOldest:
    def evict(self, candidates, now):
        return min(range(len(candidates)), key=lambda i: candidates[i].last_used)


@isthmus.policy("replacement", "py-lru")
class ReplaceOldest:
    def __init__(self):
        self.order = {}

    def admit(self, slot, key, weight):
        self.order[slot] = True

    def use(self, slot):
        self.order[slot] = self.order.pop(slot)

    def forget(self, slot):
        del self.order[slot]

    def evict(self):
        slot = next(iter(self.order))
        del self.order[slot]
        return slot


@isthmus.policy("placement", "py-spread")
class Spread:
    def place(self, view):
        return min(
            range(len(view.sites)),
            key=lambda i: (view.sites[i].own, view.sites[i].replicas, -view.sites[i].free_accelerators),
        )


@isthmus.policy("list-scheduler", "py-met")
class FastestUnit:
    """In the order of the graph, each task where it alone is fastest."""

    def schedule(self, graph):
        consumers = [[] for _ in range(graph.tasks)]
        missing = [0] * graph.tasks
        for edge in graph.edges:
            consumers[edge.from_].append(edge.to)
            missing[edge.to] += 1
        ready = [t for t in range(graph.tasks) if missing[t] == 0]
        placed = []
        while ready:
            task = min(ready)
            ready.remove(task)
            row = graph.cost[task * graph.processors : (task + 1) * graph.processors]
            placed.append((task, row.index(min(row))))
            for c in consumers[task]:
                missing[c] -= 1
                if missing[c] == 0:
                    ready.append(c)
        return placed


@isthmus.policy("partition", "py-all-remote")
class AllRemote:
    def partition(self, problem):
        pinned = problem.pinned or [-1] * problem.tasks
        return [p if p >= 0 else problem.tiers - 1 for p in pinned]


def test_offload_routing_autoscaling_and_admission_do_as_the_built_in_rules():
    same(fleet(), "/offload/policy", "py-min-latency", "min-latency")
    same(fleet(), "/services/far/routing", "py-least-outstanding", "least-outstanding")
    same(fleet(), "/services/far/routing", "py-least-outstanding", "least-outstanding")
    same(fleet(), "/services/far/autoscaling", {"policy": "py-fixed", "replicas": 3}, "fixed")
    five = {"policy": "py-fixed", "replicas": 5}
    assert events(fleet(), "/services/far/autoscaling", five) != events(fleet(), "/services/far/autoscaling", "fixed")
    same(fleet(), "/services/far/placement", "py-spread", "spread")
    always = isthmus.run(fleet(), overrides={"/services/far/admission": ["py-always"]})
    assert always.fingerprint == isthmus.run(fleet()).fingerprint


def test_batching_with_a_parameter():
    one = {"policy": "py-greedy", "max_batch": 3}
    same(fleet(), "/services/far/batching", one, {**one, "policy": "greedy"})
    other = {"policy": "greedy", "max_batch": 2}
    assert events(fleet(), "/services/far/batching", one) != events(fleet(), "/services/far/batching", other)


@pytest.mark.parametrize(
    ("scenario", "pointer", "ours", "theirs"),
    [
        ("variants", "/services/vision/variant_policy", "py-fastest", "fastest"),
        ("hot_phone", "/nodes/phone/governor", "py-powersave", "powersave"),
        ("model_cache", "/nodes/box/model_cache/policy", "py-lru", "lru"),
        ("result_cache", "/services/gateway/caches/0/replacement", "py-lru", "lru"),
        ("split", "/services/tail/split/policy", "py-all-remote", "remote-only"),
    ],
)
def test_examples_do_as_with_the_built_in_rule(scenario, pointer, ours, theirs):
    same(EXAMPLES / f"{scenario}.json", pointer, ours, theirs)


def test_a_list_scheduler_places_every_operator():
    ours, heft = (isthmus.schedule("mobilenet-v2", "rockchip-rk3588", scheduler=s) for s in ("py-met", "heft"))
    assert len(ours.operators) == len(heft.operators)
    alone = heft.units["alone"].dropna()
    assert set(ours.operators["unit"]) <= set(alone.index)
    overrides = {"/services/detector/scheduler": "py-met", "/services/classifier/scheduler": "py-met"}
    run = isthmus.run(EXAMPLES / "phone_units.json", overrides=overrides)
    assert run.conservation["completed"] > 150


def test_decisions_keep_score_and_reason():
    run = isthmus.run(fleet(), overrides={"/offload/policy": "py-min-latency"})
    assert set(run.decisions["reason"]) == {"py: first to answer"}
    assert (run.decisions["score"] > 0.02).all()
    assert set(run.decisions["chosen"]) == {"near", "far"}


def test_listed_with_its_declaration():
    row = isthmus.policies().set_index(["kind", "name"]).loc[("offload", "py-min-latency")]
    assert row["summary"] == "The candidate that should answer first."
    assert "py-greedy" in str(isthmus.schema())


def test_replaced_by_a_later_class_of_its_name():
    for replicas in (2, 6):

        @isthmus.policy("autoscaling", "py-later")
        class Later:
            wish = replicas

            def decide(self, view):
                return self.wish

        assert isthmus.run(
            fleet(), overrides={"/services/far/autoscaling": "py-later"}
        ).fingerprint == events(fleet(), "/services/far/autoscaling", {"policy": "py-fixed", "replicas": replicas})


def test_autoscaler_sees_what_was_scraped():
    seen = []

    @isthmus.policy("autoscaling", "py-rate")
    class Rate:
        wants_metrics = True

        def decide(self, view):
            seen.extend((s.observed_at, s.window, s.rate, s.mean_latency, view.now) for s in view.samples)
            return 4

    isthmus.run(fleet(), overrides={"/services/far/autoscaling": "py-rate"})
    assert len(seen) >= 3
    assert all(observed + 1 <= now for observed, _, _, _, now in seen)
    assert all(5 < rate < 80 and 0.02 < latency for _, window, rate, latency, _ in seen if window > 0)


def test_threads_give_the_same_results():
    overrides = {"/offload/policy": "py-min-latency"}
    alone = isthmus.compare(fleet(), "/services/far/replicas", [1, 2, 3], overrides=overrides, replications=2)
    both = isthmus.compare(
        fleet(), "/services/far/replicas", [1, 2, 3], overrides=overrides, replications=2, threads=2
    )
    assert alone.text == both.text
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(events, fleet(), "/offload/policy", "py-min-latency") for _ in range(4)]
        assert len({r.result() for r in runs}) == 1


def test_workers_of_simgrid_decide_in_python_while_other_threads_do():
    network = {**fleet()["network"], "model": "simgrid"}
    simgrid = fleet(network=network, duration="5 s")
    expected = isthmus.run(simgrid).fingerprint
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        busy = [pool.submit(events, fleet(), "/offload/policy", "py-min-latency") for _ in range(6)]
        ours = [pool.submit(events, simgrid, "/offload/policy", "py-min-latency") for _ in range(20)]
        assert {r.result(timeout=120) for r in ours} == {expected}
        assert len({r.result() for r in busy}) == 1

    @isthmus.policy("offload", "py-raises")
    class Raises:
        def decide(self, view):
            raise KeyError("lost")

    with pytest.raises(isthmus.Error, match="lost"):
        isthmus.run(simgrid, overrides={"/offload/policy": "py-raises"})


def test_views_outlive_their_decision():
    kept = []

    @isthmus.policy("offload", "py-keeper")
    class Keeper:
        def decide(self, view):
            kept.append(view.candidates)
            return 0

    isthmus.run(fleet(), overrides={"/offload/policy": "py-keeper"})
    assert {c.name for view in kept for c in view} == {"near", "far"}
    with pytest.raises(AttributeError):
        kept[0][0].load = 3


def test_an_exception_of_the_policy_reaches_the_caller():
    @isthmus.policy("routing", "py-broken")
    class Broken:
        def choose(self, view):
            raise ZeroDivisionError("no replica is good enough")

    with pytest.raises(ZeroDivisionError, match="good enough"):
        isthmus.run(fleet(), overrides={"/services/far/routing": "py-broken"})
    with pytest.raises(ZeroDivisionError, match="good enough"):
        isthmus.compare(
            fleet(), "/services/far/replicas", [1, 2, 3], overrides={"/services/far/routing": "py-broken"}, threads=2
        )
    assert isthmus.run(fleet()).conservation["created"] > 1000


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (3, "from 0 to 1"),
        (-1, "from 0 to 1"),
        (True, "whole number"),
        (1.0, "whole number"),
        (None, "whole number"),
        ("nowhere", "names of the candidates"),
        ((0,), "candidate, score"),
        (10**30, "from 0 to 1"),
        (math.nan, "whole number"),
    ],
)
def test_wrong_answers_are_refused(answer, hint):
    @isthmus.policy("offload", "py-wrong")
    class Wrong:
        def decide(self, view):
            return answer

    with pytest.raises(isthmus.InputError, match=hint):
        isthmus.run(fleet(), overrides={"/offload/policy": "py-wrong"})


def test_parameters_are_checked_where_the_scenario_gives_them():
    @isthmus.policy("offload", "py-patient")
    class Patient:
        def __init__(self, patience=isthmus.Parameter(0.1, unit="s", max=5), mode="near", share=0.5):
            if mode == "never":
                raise ValueError("mode never is not for now")
            self.patience = patience

        def decide(self, view):
            return 0 if self.patience == 0.25 else 1

    def run(**parameters):
        return isthmus.run(
            fleet(),
            overrides={"/offload": {"policy": "py-patient", "candidates": ["near", "far"], **parameters}},
        )

    run(patience="250 ms")
    for parameters, message in [
        ({"patience": "6 s"}, "patience"),
        ({"patience": "3 GB"}, "patience"),
        ({"patienc": "1 s"}, "did you mean \"patience\""),
        ({"mode": "never"}, "not for now"),
    ]:
        with pytest.raises(isthmus.InputError, match=message):
            run(**parameters)


def test_bad_classes_are_refused():
    with pytest.raises(isthmus.InputError, match="built in"):
        isthmus.policy("routing", "round-robin")(LeastOutstanding)
    with pytest.raises(isthmus.InputError, match="no method choose"):
        isthmus.policy("routing", "py-x")(Greedy)
    with pytest.raises(isthmus.InputError, match="no kind"):
        isthmus.policy("ruting", "py-x")(LeastOutstanding)
    with pytest.raises(isthmus.InputError, match="unknown unit"):

        @isthmus.policy("routing", "py-x")
        class Miles:
            def __init__(self, far=isthmus.Parameter(1, unit="mi")):
                pass

            def choose(self, view):
                return 0

    with pytest.raises(isthmus.InputError, match="needs a default"):

        @isthmus.policy("routing", "py-x")
        class Needy:
            def __init__(self, far):
                pass

            def choose(self, view):
                return 0
