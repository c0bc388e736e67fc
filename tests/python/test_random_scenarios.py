"""Laws that every run keeps, on random scenarios that combine everything with everything.

``ISTHMUS_FUZZ=0:5000`` chooses the seeds; the default is a short range.
"""

import itertools
import json
import os
import random
import tempfile
from pathlib import Path

import isthmus
import pytest

STAGES = ["created", "sent", "arrived", "started", "served", "completed"]


def seeds() -> range:
    first, last = os.environ.get("ISTHMUS_FUZZ", "0:60").split(":")
    return range(int(first), int(last))


def random_engine(r: random.Random, batching: dict) -> None:
    """Every option of an LLM engine, as far as they go together."""
    scheduling = r.choice(["decode-first", "decode-first", "prefill-first", "orca", "static"])
    batching["scheduling"] = scheduling
    batching["order"] = r.choice(["arrival", "arrival", "priority", "fair"])
    if scheduling != "decode-first":
        del batching["chunked_prefill"]
    if r.random() < 0.5:
        batching["reserve_prompt"] = True
        if r.random() < 0.6:
            batching["prefix_caching"] = True
            if r.random() < 0.5:
                batching["kv_tiers"] = [
                    {"capacity": r.choice(["3 MB", "1 GB"]), "bandwidth": "20 GB/s"},
                    {"capacity": "10 GB", "bandwidth": "2 GB/s"}][: r.choice([1, 2])]
    if scheduling == "decode-first" and r.random() < 0.3:
        batching["async_scheduling"] = True
    elif r.random() < 0.3:
        batching["max_batched_tokens"] = 8192
        batching["speculation"] = {"tokens": r.choice([1, 4]),
                                   "acceptance": r.choice([0, 0.7, [0.9, 0.5]])}
        if r.random() < 0.5:
            batching["speculation"]["model"] = "qwen3-0.6b"
    if scheduling in ("decode-first", "prefill-first") and r.random() < 0.3:
        batching["preemption"] = "swap"
        batching["swap_space"] = r.choice(["1 MB", "1 GB"])
    if r.random() < 0.3:
        batching["watermark"] = r.choice([0.05, 0.9])
    if r.random() < 0.3:
        batching["adapters"] = {"rank": 8, "slots": r.choice([1, 3])}


def random_radio(r: random.Random, links: dict, phones: int) -> None:
    """Wi-Fi cells, capacities that fall with the number of transfers, and powers of links."""
    access = links["access"]
    if r.random() < 0.4:
        access["sharing"] = "wifi"
        access["stations"] = {"phone": r.choice(
            ["2 Mbps", [f"{r.choice([1, 6, 54])} Mbps" for _ in range(r.randint(1, phones))]])}
    elif access["sharing"] != "fatpipe" and r.random() < 0.3:
        access["contention"] = [1, 0.9, 0.5]
    if r.random() < 0.3:
        links["wan"]["contention"] = [0.95, 0.8]
    for link in links.values():
        if r.random() < 0.4:
            link |= {"idle_power": "1 W", "busy_power": "1 W" if link.get("sharing") == "fatpipe" else "4 W"}


def random_llm(r: random.Random) -> dict:
    """An LLM service, often with little KV cache, often scaled."""
    service = {
        "model": "llama-3.1-8b",
        "on": "gpu",
        "cold_start": r.choice(["0 s", "3 s"]),
        "request_overhead": r.choice(["0 s", "0 s", "1 ns", "30 ms"]),
        "routing": r.choice(["random", "least-connections", "round-robin", "power-of-two"]
                            + ROUTING),
        "batching": {
            "policy": "continuous",
            "max_batch": r.choice([1, 4, 64]),
            "max_batched_tokens": r.choice([64, 512, 8192]),
            "kv_tokens": r.choice([0, 600, 4000]),
            "chunked_prefill": r.random() < 0.7,
            "block_size": r.choice([1, 16]),
        },
    }
    random_engine(r, service["batching"])
    scaling = r.choice(["none", "hpa", "queue-length", "metrics"])
    if scaling == "hpa":
        service["autoscaling"] = {
            "policy": "hpa", "metric": "in_flight", "target_in_flight": 2, "min_replicas": 1,
            "max_replicas": r.choice([2, 50]), "period": "2 s", "scrape_period": "1 s"}
    elif scaling == "queue-length":
        service["max_replicas"] = 3
        service["autoscaling"] = {
            "policy": "queue-length", "target": 2, "period": "1 s", "scrape_period": "1 s"}
    elif scaling == "metrics":
        service["autoscaling"] = random_autoscaling(r)
        if r.random() < 0.3:
            service["replicas"] = service["autoscaling"].get("min_replicas", 1)
    return service


def random_autoscaling(r: random.Random) -> dict:
    """Policies that go by the metrics of the service, at a pace that short runs show."""
    pace = {"period": r.choice(["0.5 s", "2 s"]), "scrape_period": r.choice(["0.3 s", "1 s", "3 s"]),
            "scrape_delay": r.choice(["0 s", "0.2 s"])}
    metric = r.choice(["concurrency", "in_flight", "queue_length", "rate", "utilization", "mean_latency",
                       "latency_p95", "external:signal"])
    least, most = r.choice([(0, 3), (1, 3)])
    limits = {"min_replicas": max(1, least), "max_replicas": most}
    points = {"point_period": "1 s", "scale_out_points": 1, "scale_in_points": 2}
    policy = r.choice([
        {"policy": "kpa", "target": r.choice([1, 3]), "metric": r.choice(["concurrency", "rps"]),
         "stable_window": "6 s", "scale_to_zero_grace_period": "1 s", "min_replicas": least,
         "max_replicas": most, "aggregation": r.choice(["linear", "weighted"])},
        {"policy": "keda", "metric": metric, "threshold": 2, "polling_interval": "1 s", "cooldown_period": "3 s",
         "scale_down_stabilization": "1 s", "min_replicas": least, "max_replicas": most},
        {"policy": "target-tracking", "metric": metric, "target": 0.5, "scale_out_cooldown": "2 s",
         "scale_in_cooldown": "2 s"} | limits | points,
        {"policy": "step-scaling", "metric": metric, "cooldown": "1 s"} | limits | points,
        {"policy": "slo", "target": "100 ms", "scale_down_hold": "2 s"} | limits,
    ])
    if metric == "external:signal":
        policy["external"] = {"signal": [["0 s", 1], ["3 s", r.choice([0, 20])], ["6 s", -5]]}
    return pace | policy


ROUTING = ["random", "least-connections", "round-robin", "power-of-two", "peak-ewma", "qoe-weighted",
           "weighted-round-robin", "optimal-split", "session-affinity",
           {"policy": "locality-priority", "localities": "weighted", "within": "random"},
           {"policy": "locality-priority", "priority": "given"},
           {"policy": "qoe-weighted", "score": "experience"}, {"policy": "peak-ewma", "among": "all"}]


def random_balancer(r: random.Random, service: dict) -> None:
    """Often a balancer that learns of failures by itself, sometimes a rule that wants to be told."""
    if r.random() < 0.3:
        service["routing"] = r.choice(ROUTING)
    if r.random() < 0.5:
        return
    balancer = {"max_fails": r.choice([0, 1, 3]), "fail_timeout": r.choice(["0 s", "500 ms", "10 s"]),
                "next_tries": r.choice([0, 1, 5]), "connect_timeout": r.choice(["0 s", "10 ms", "2 s"]),
                "panic_threshold": r.choice([0, 0.5, 1])}
    if r.random() < 0.2:
        del balancer["connect_timeout"]
        balancer["knows_failures"] = True
    if r.random() < 0.3:
        balancer |= {"max_requests": r.choice([1, 20]), "max_retries": 1}
    if r.random() < 0.4:
        balancer["outlier_ejection"] = {
            "consecutive_errors": r.choice([0, 1, 5]), "interval": r.choice(["100 ms", "10 s"]),
            "base_ejection": "1 s", "max_ejected": r.choice([0, 1]), "minimum_hosts": 1,
            "request_volume": 3, "stdev_factor": r.choice([0, 0.5])}
    if r.random() < 0.4:
        balancer["circuit_breaker"] = {"error_rate": r.choice([0.01, 1]), "min_requests": 1,
                                       "open_for": r.choice(["0 s", "1 s"]), "probes": r.choice([1, 3])}
    if r.random() < 0.3:
        balancer["slow_start"] = {"window": "5 s", "aggression": r.choice([0.5, 3]), "least": r.choice([0, 1])}
    if "connect_timeout" in balancer and r.random() < 0.3:
        balancer["health_check"] = {"interval": "1 s", "fall": 1, "rise": r.choice([1, 2])}
    service["balancer"] = balancer


def alike_prompts() -> str:
    """A trace of prompts that begin alike, or repeat themselves, with empty and cut ones among them."""
    r = random.Random("alike")
    path = Path(tempfile.gettempdir()) / f"isthmus-alike-{os.getpid()}.jsonl"
    if not path.exists():
        time, rows = 0, []
        for _ in range(150):
            time += int(r.expovariate(1 / 100))
            blocks = r.choice([0, 1, 2, 5, 9])
            rows.append(json.dumps({
                "timestamp": time, "input_length": max(0, 32 * blocks - r.choice([0, 0, 1, 31])),
                "output_length": r.choice([0, 1, 2, 30, 100]),
                "hash_ids": [r.randint(0, r.choice([2, 30])) for _ in range(blocks)]}))
        path.write_text("\n".join(rows) + "\n")
    return str(path)


def random_queue(r: random.Random) -> dict:
    queue = {}
    if r.random() < 0.4:
        queue["capacity"] = r.choice([0, 1, 5])
    if r.random() < 0.4:
        queue["timeout"] = r.choice(["1 ms", "1 s"])
    return queue


def random_workload(r: random.Random, number: int, request: dict) -> dict:
    """A stream of requests or tasks from any kind of source."""
    source = r.choice([
        {"source": "poisson", "rate": f"{r.choice([1, 20, 100])} /s"},
        {"source": "gamma", "rate": "10 /s", "cv": 3},
        {"source": "closed", "think": "100 ms"},
        {"source": "closed", "steps": [["0 s", 1], ["5 s", 4], ["10 s", 0]]},
        {"source": "preset", "preset": "azure-2023-conv"},
        {"source": "trace", "format": "mooncake", "file": alike_prompts(), "tokens_per_hash": 32},
    ])
    workload = {
        **source,
        "name": f"w{number}",
        "target": r.choice(["offload", "llm", "law", "offload"]),
        "clients": {"on": r.choice(["phone", "phone", "box"]), "count": r.randint(4, 9)},
        "request": request,
        "priority": r.choice([-1, 0, 2]),
    }
    if r.random() < 0.4:
        workload["task"] = {"steps": r.choice([1, 3]), "action": "100 ms", "context_growth": 50}
    return workload


def random_device(seed: int) -> tuple[dict, dict]:
    """Fields of a phone with units, perhaps under clocks and heat, and its local service."""
    r = random.Random(f"devices {seed}")
    if r.random() < 0.3:
        return {}, {"service_time": "50 ms"}
    clocks = [{"frequency": "0.5 GHz", "voltage": "0.7 V"}, {"frequency": "1 GHz", "voltage": "0.8 V"},
              {"frequency": "2 GHz", "voltage": "1 V"}]
    units = {
        "cpu": {"kind": "cpu", "peak": {"fp32": "100 GFLOPS", "int8": "400 GOPS"},
                "memory_bandwidth": "20 GB/s", "memory": "4 GB", "launch_overhead": "5 us",
                "idle_power": "0.2 W", "bandwidth_power": "2 W", "compute_power": "3 W"},
        "gpu": {"kind": "gpu", "peak": {"fp32": "400 GFLOPS", "int8": "400 GOPS"},
                "memory_bandwidth": "20 GB/s", "memory": "4 GB", "launch_overhead": "20 us",
                "streams": r.choice([1, 2]), "bandwidth_power": "2 W", "compute_power": "4 W"},
    }
    node = {"units": units, "unit_transfer": {"latency": r.choice(["0 s", "50 us"])}}
    if r.random() < 0.7:
        for unit in units.values():
            unit["operating_points"] = clocks
            unit["governor"] = r.choice(["performance", "powersave", "ondemand", "conservative",
                                         "schedutil", "deadline", "load-threshold", "battery-saver"])
        node["power_trace"] = r.choice(["10 ms", "100 ms"])
        if r.random() < 0.6:
            node["ambient"] = r.choice(["25 C", "45 C", [{"at": "0 s", "temperature": "20 C"},
                                                         {"at": "5 s", "temperature": "50 C"}]])
            units["cpu"]["leakage"] = "10 mW/K"
            node["thermal"] = {"capacitance": "2 J/K", "resistance": "10 K/W", "shutdown": "90 C",
                               "trips": [{"at": "60 C", "clock": 0.5,
                                          "stepwise": r.random() < 0.5}]}
        if r.random() < 0.4:
            node["battery"] = {"capacity": r.choice(["20 J", "1 kJ"])}
    service = r.choice([
        {"service_time": "50 ms"},
        {"model": "mobilenet-v2", "variant": "fp32"},
        {"model": "mobilenet-v2", "variant": "fp32", "units": ["gpu", "cpu"], "priority": 1,
         "slots": r.choice([1, 3]), "pack": r.choice(["10 us", "1 ms"]),
         "scheduler": r.choice(["fifo", "critical-path", "heft", "cpop", "peft", "dls", "min-min",
                                "lookahead", "memory-bounded"])},
        {"model": "mobilenet-v2", "variants": ["fp32", "int8"], "loading": r.choice(["eager", "mmap"]),
         "variant_policy": r.choice(["fastest", "deadline", "load-adaptive", "energy", "weighted", "class-degrade"]),
         "batching": {"policy": "greedy", "max_batch": 4}},
    ])
    if "units" in service and r.random() < 0.6:
        node["model_cache"] = {"policy": r.choice(["lru", "lfu", "fifo", "priority", "greedy-dual"]),
                               "capacity": r.choice(["60 MB", "1 GB"]),
                               "preload": r.random() < 0.5, "keep_in_host": r.random() < 0.5}
    return node, service


def divide_replicas(seed: int, node: dict, service: dict) -> None:
    """Spreads replicas over several accelerators, by layers, stages, ranks or experts."""
    r = random.Random(f"divide {seed}")
    if r.random() < 0.6:
        return
    service["parallel"] = r.choice([1, 2])
    node["accelerators"] = 8
    batching = service["batching"]
    if not (batching.get("async_scheduling") or batching.get("preemption") == "swap"
            or {"speculation", "kv_tiers", "adapters"} & batching.keys()):
        service["pipeline"] = r.choice([1, 2, 4])
    if r.random() < 0.4:
        service["model"] = "mixtral-8x7b"
        service["parallel"] = 2 if "pipeline" in service else 4
        service["expert_parallel"] = r.choice([1, 2])
        if service["expert_parallel"] > 1:
            service["expert_skew"] = r.choice([0, 1.1])
            service["expert_exchange"] = r.choice(["all-reduce", "all-to-all"])
        if r.random() < 0.9 and not (batching.get("preemption") == "swap"
                                     or {"speculation", "kv_tiers", "adapters"} & batching.keys()):
            service.pop("pipeline", None)
            service["data_parallel"] = 2
            service["parallel"] = r.choice([2, 4])


def random_batching(seed: int, service: dict, request: dict) -> None:
    """Batches of requests that the policy chooses one by one."""
    r = random.Random(f"batch {seed}")
    if r.random() < 0.5:
        return
    levels = r.choice([0, 1, 3])
    service["batching"] = r.choice([
        {"policy": "dynamic", "max_batch": 6, "preferred": r.choice([[], [2, 4]]),
         "max_queue_delay": r.choice(["0 s", "10 ms"]), "priority_levels": levels,
         "default_priority_level": min(levels, 2), "timeout_action": r.choice(["reject", "delay"]),
         "default_timeout": r.choice(["0 s", "30 ms"]), "allow_timeout_override": r.choice([0, 1]),
         "max_queue_size": r.choice([0, 3]),
         "level_timeout": [r.choice(["0 s", "1 s"]) for _ in range(levels)]},
        {"policy": "adaptive", "slo": r.choice(["5 ms", "1 s"]), "max_batch": r.choice([1, 50]),
         "max_queue_delay": r.choice(["0 s", "5 ms"])},
        {"policy": "earliest-deadline", "slo": r.choice(["0 s", "20 ms", "2 s"]),
         "slack": r.choice(["0 s", "3 ms"]), "late": r.choice(["drop", "last"]),
         "start": r.choice(["at-once", "last-moment"]), "least_batch": r.choice([1, 4])},
    ])
    if r.random() < 0.5:
        request["queue_timeout"] = r.choice(["1 ms", "10 s"])


def random_protocol(seed: int, services: dict, request: dict) -> dict:
    """Lets remote services speak a protocol of any layers, and attempts time out."""
    r = random.Random(f"talk {seed}")
    if r.random() < 0.3:
        request |= {"attempt_timeout": r.choice(["30 ms", "1 s"]), "retry_jitter": r.choice([0, 1]),
                    "retry_budget": r.choice([0, 0.5])}
    if r.random() < 0.5:
        return {}
    transport = r.choice(["tcp", "tcp", "quic", "none"])
    protocol = {"transport": transport, "packet_headers": r.random() < 0.5,
                "message": {"framing": r.choice(["none", "grpc", "rest-json"]),
                            "header_up": r.choice(["0 B", "300 B"]), "encode": "100 MB/s"}}
    if transport == "quic":
        protocol["resumption"] = r.choice(["none", "session", "early-data"])
    elif transport == "tcp" and r.random() < 0.7:
        protocol |= {"encryption": "tls-1.3", "cipher": "50 MB/s",
                     "resumption": r.choice(["none", "session", "early-data"])}
    if transport != "none":
        protocol["connections"] = {"idle_timeout": r.choice(["0 s", "200 ms", "60 s"]),
                                   "streams": r.choice([1, 1, 2, 100])}
        if r.random() < 0.5:
            protocol["connections"]["limit"] = r.choice([1, 3])
    if r.random() < 0.4:
        protocol["compression"] = {"codec": r.choice(["zstd-1", "lz4"]),
                                   "ways": r.choice(["both", "up", "down"])}
    if r.random() < 0.5:
        protocol["broker"] = {"time": r.choice(["0 s", "12 ms"]), "both_ways": r.random() < 0.6,
                              "memory": "64 MB", "request_memory": "1 MB"}
        limits = {"workers": r.choice([1, 4]), "capacity": r.choice([1, 5]),
                  "timeout": r.choice(["10 ms", "500 ms"])}
        protocol["broker"] |= {key: limits[key] for key in limits if r.random() < 0.5}
    if r.random() < 0.3:
        protocol["privacy"] = {"shows": "noised", "noise": "10 MB/s", "accuracy_loss": 0.1}
    for name in r.sample(["law", "llm"], r.choice([1, 2])):
        services[name]["protocol"] = "talk"
    return {"talk": protocol}


def random_outboxes(seed: int) -> dict:
    """Messages that machines store and forward, under every rule."""
    r = random.Random(f"outboxes {seed}")
    if r.random() < 0.5:
        return {}
    limits = {"capacity": r.choice(["3 kB", "1 MB"]), "max_messages": r.choice([1, 10])}
    limits = {key: limits[key] for key in limits if r.random() < 0.5}
    delivery = r.choice(["at-most-once", "at-least-once", "exactly-once"])
    box = {
        "from": r.choice(["phone", "box"]), "to": "gpu", **limits, "delivery": delivery,
        "durable": r.random() < 0.5, "order": r.choice(["fifo", "newest-first", "priority"]),
        "batch": r.choice([1, 5, 1000]),
        "messages": {"clock": {"interval": r.choice(["50 ms", {"distribution": "exponential", "mean": "1 s"}]),
                               "bytes": r.choice(["0 B", "2 kB", {"distribution": "uniform", "low": "1 B",
                                                                  "high": "100 kB"}])}},
        "reconnect": {"by": r.choice(["probe", "link-up"]), "interval": r.choice(["10 ms", "1 s"]),
                      "trips": r.choice([0, 2])}}
    if delivery != "at-most-once":
        box["ack_timeout"] = r.choice(["5 ms", "1 s"])
    if limits:
        box["when_full"] = r.choice(["drop-oldest", "drop-newest", "block"])
    if box.get("when_full") != "block":
        box["messages"]["requests"] = {"after": "local" if box["from"] == "phone" else "law",
                                       "bytes": "5 kB", "priority": 1}
    if r.random() < 0.3:
        box["catch_up_rate"] = "100 kB/s"
    return {"logs": box}


def random_data(seed: int) -> dict:
    """Data that phones, boxes and a hub write, under every rule."""
    r = random.Random(f"data {seed}")
    if r.random() < 0.5:
        return {}
    data = {"hub": "gpu", "at": r.choice(["phone", "box"]), "keys": r.choice([1, 20]),
            "exponent": r.choice([0, 1]), "value": r.choice(["0 B", "3 kB"]),
            "writes": {"distribution": "exponential", "mean": r.choice(["200 ms", "5 s"])},
            "reads": "500 ms", "sync": r.choice(["polling", "push"]),
            "transfer": r.choice(["incremental", "full"]),
            "conflicts": r.choice(["last-writer-wins", "hub-wins", "keep-both"])}
    if r.random() < 0.7:
        data["hub_writes"] = "300 ms"
    if data["sync"] == "polling":
        data["interval"] = r.choice(["100 ms", "3 s"])
    else:
        data["retry"] = "1 s"
    if data["conflicts"] == "last-writer-wins":
        data["clock_skew"] = r.choice(["0 s", "2 s"])
    return {"state": data}


#: Those that look further than one estimate.
OFFLOAD_POLICIES = [
    "max-reward", "cost-ratio", "cost-ratio-feedback", "weighted-threshold", "lyapunov",
    "multi-criteria", "epsilon-greedy", "ucb1", "thompson", "linucb", "q-learning",
    "policy-gradient", "oracle"]


def offload_knowledge(seed: int) -> dict:
    """What clients know of their paths, and what decisions are worth."""
    r = random.Random(f"offload {seed}")
    knowledge: dict = {"bandwidth": r.choice(["current", "nominal", "measured"])}
    if r.random() < 0.5:
        knowledge["reward"] = {
            "latency": 1, "energy": r.choice([0, 0.5]), "accuracy": r.choice([0, 1])}
    if r.random() < 0.3:
        knowledge["decision_quality"] = True
    return knowledge


def random_tenants(seed: int, services: dict, workloads: list) -> dict:
    """Tenants, rules at the front of services, and queues in another order than that of arrival."""
    r = random.Random(f"tenants {seed}")
    if r.random() < 0.4:
        return {}

    def rule() -> dict:
        kind = r.choice([
            {"policy": "always"},
            {"policy": "token-bucket", "rate": r.choice([0.5, 20]), "burst": r.choice([1, 8]),
             "max_wait": r.choice(["0 s", "2 s"]), "unit": r.choice(["requests", "requests", "tokens"])},
            {"policy": "quota", "amount": r.choice([1, 30]), "window": r.choice(["1 s", "7 s"]),
             "kind": r.choice(["fixed", "sliding"]), "max_wait": r.choice(["0 s", "3 s"])},
            {"policy": "concurrency", "limit": r.choice([0, 1, 10])},
            {"policy": "aimd", "initial_limit": 2, "timeout": "300 ms"},
            {"policy": "gradient", "initial_limit": 3, "min_limit": 1},
            {"policy": "codel", "target": "1 ms", "interval": "50 ms", "spare_priority": 2},
            {"policy": "shed", "thresholds": r.choice([[0.5, 1], [1, 2, 3]])},
            {"policy": "deadline", "margin": r.choice([-0.5, 0, 1])}])
        otherwise = r.choice([{"retry_after": r.random() < 0.6}] * 2 + [{"otherwise": "degrade"}])
        return kind | otherwise | {"per": r.choice(["all", "tenant"]), **({"tenants": ["gold"]} if r.random() < 0.3 else {})}

    tenants = {"gold": {"weight": 3, "priority": 2}, "free": {"weight": r.choice([0.1, 1])}}
    if r.random() < 0.4:
        tenants["free"]["admission"] = [rule()]
    for name in ("law", "llm"):
        if r.random() < 0.5:
            services[name]["admission"] = [rule() for _ in range(r.choice([1, 1, 3]))]
    if r.random() < 0.6:
        law = services["law"]
        del law["batching"]
        order = r.choice(["priority", "fair", "deadline"])
        law["queue"] = law["queue"] | {"order": order}
        if order != "fair":
            law["queue"]["preemption"] = r.random() < 0.6
    for w in workloads:
        if r.random() < 0.8:
            w["tenant"] = r.choice(["gold", "free"])
        if r.random() < 0.3:
            w["request"] = w["request"] | {"work": r.choice([0, 3, {"distribution": "exponential", "mean": 2}])}
    return tenants


def add_costs(seed: int, scenario: dict) -> None:
    """Billing of every kind, power prices, carbon, serverless services and providers, cold starts in parts."""
    r = random.Random(f"costs {seed}")
    nodes = scenario["nodes"]
    if r.random() < 0.4:
        return
    # Those that nobody calls, and that call nobody.
    services = {
        name: s for name, s in scenario["services"].items()
        if not {"pools", "split", "calls", "caches", "placement"} & set(s) and isinstance(s["on"], str)
        and not any(name in json.dumps(other) for other in scenario["services"].values())
        and "updates" not in scenario and nodes[s["on"]].get("tier") != "device"
    }
    currency = r.choice(["USD", "CNY"])
    price = lambda per: f"{r.choice([0, 0.01, 3])} {r.choice(['USD', 'CNY'])}{per}"  # noqa: E731
    for name, node in nodes.items():
        if r.random() < 0.5:
            node["site"] = "room"
            node["pays_power"] = r.random() < 0.5
        if r.random() < 0.3:
            node["licences"] = {"suite": {"price": price("/month"), "per_machine": r.choice([1, 8])}}
        if r.random() < 0.3:
            node["embodied_carbon"] = "900 kg"
        kind = r.choice(["", "on-demand", "spot", "reserved", "owned", "none"])
        rounding = r.choice([{}, {"granularity": "1 s"}, {"granularity": "7 s", "minimum": "1 min"}])
        if kind == "owned" and node.get("billed_when_idle", True):
            node.pop("price", None)
            node |= {"purchase_price": price(""), "billing": {"kind": kind, "salvage": 0.1}}
        elif kind == "reserved" and node.get("billed_when_idle", True):
            node |= {"price": price("/h"), "billing": {"kind": kind, "upfront": price("")}}
        elif kind == "on-demand":
            node |= {"price": price("/h"), "billing": {"kind": kind, **rounding}}
        elif kind == "spot":
            node |= {"price": "2 USD/h", "billing": {"kind": kind, "discount": 0.6, **rounding}}
        elif kind == "none":
            node["billing"] = {"kind": kind}
            for service in services.values():
                if service["on"] != name:
                    continue
                if r.random() < 0.5:
                    service["serverless"] = {"request_price": price("/1M"), "time_price": price("/h"),
                                             "granularity": r.choice(["1 ns", "1 ms", "100 ms"])}
                else:
                    service["provider"] = {"call_price": price("/10k"), "availability": r.choice([0.9, 1]),
                                           "outage": "1 s", "credits": [{"below": 0.99, "share": 0.2}]}
    for service in services.values():
        if r.random() < 0.5:
            continue
        service.pop("cold_start", None)
        service["startup"] = {"provision": r.choice(["0 s", "2 s"]), "keep_alive": r.choice(["0 s", "5 s"]),
                              **r.choice([{"snapshot": "100 ms"}, {"runtime": "1 s", "warmup": "200 ms"}])}
        if r.random() < 0.6:
            service["startup"]["image"] = {"registry": r.choice(["gpu", "box"]), "unpack": "1 GB/s",
                                           "layers": {"base": "20 MB", r.choice("ab"): "5 MB"}}
    site = {"power_price": price("/kWh"), "carbon_intensity": r.choice(["0 g/kWh", "400 g/kWh"]),
            "pue": r.choice([1, 1.4])}
    scenario["costs"] = {
        "currency": currency, "exchange": {"USD": 7.2} if currency == "CNY" else {"CNY": 0.14},
        "sites": {"room": site}, "flat": {"staff": {"price": price("/day")}, "desk": {"purchase_price": price("")}},
        **({"egress": [{"volume": "1 MB", "price": price("/GB")}, {"price": price("/GB")}]}
           if r.random() < 0.5 else {})}


def check_ledger(summary: dict) -> None:
    """Rows are quantity x price, and add up exactly."""
    ledger = summary.get("ledger")
    if not ledger:
        return
    for row in ledger["rows"] + ledger["carbon"]:
        assert abs(row["quantity"] * row["unit_price"] * 1e6 - row["amount_micro"]) <= 0.5 + 1e-9, row
    total = sum(row["amount_micro"] for row in ledger["rows"])
    assert total == ledger["total_micro"]
    assert round(summary["metrics"]["cost"]["value"] * 1e6) == total


def random_scenario(seed: int) -> dict:
    """Phones, boxes and GPUs with faults, limits and every kind of policy."""
    r = random.Random(seed)
    nodes = {
        "phone": {"count": r.randint(1, 6), "zone": "field", "tier": "device",
                  "base_power": "2 W", "upload_power": "1 W"},
        "gpu": {"device": "nvidia-a100-80g", "count": r.randint(1, 4), "zone": "region",
                "billed_when_idle": r.random() < 0.5},
        "box": {"count": r.randint(1, 3), "zone": "metro", "tier": "edge"},
    }
    network = {
        "model": r.choice(["fluid", "fluid", "simgrid"]),
        "links": {
            "access": {"bandwidth": f"{r.choice([1, 10, 100])} Mbps",
                       "latency": f"{r.choice([0, 3, 20])} ms",
                       "sharing": r.choice(["shared", "split-duplex", "fatpipe"]),
                       "per_nodes": r.choice([0, 1, 2])},
            "wan": {"bandwidth": "1 Gbps", "latency": "10 ms"},
        },
        "access": {"phone": ["access"]},
        "routes": [{"from": "field", "to": "metro", "links": ["wan"]},
                   {"from": "field", "to": "region", "links": ["wan"]}],
    }
    if r.random() < 0.3:
        network["links"]["wan"]["trace"] = [["0 s", "1 Gbps"], ["5 s", "2 Mbps"], ["9 s", "1 Gbps"]]
    random_radio(random.Random(f"radio {seed}"), network["links"], nodes["phone"]["count"])
    queue = random_queue(r)
    services = {
        "llm": random_llm(r),
        "law": {
            "service_time": {"distribution": "exponential",
                             "mean": r.choice(["1 ns", "20 ms", "1 s"])},
            "per_item": "1 ms", "on": "box", "slots": r.choice([1, 3]),
            "replicas": r.choice([1, 4]), "queue": queue,
            "batching": r.choice([
                "none",
                {"policy": "dynamic", "max_batch": 4, "max_queue_delay": "5 ms"},
                {"policy": "timeout", "max_batch": 3, "max_queue_delay": "2 ms"},
                {"policy": "greedy", "max_batch": 8},
                {"policy": "fixed", "max_batch": 2}])},
    }
    request = {
        "prompt_tokens": r.choice([0, 10, 300, 5000]),
        "image_tokens": r.choice([0, 100]),
        "output_tokens": {"distribution": "uniform", "low": 1, "high": r.choice([1, 50, 300])},
        "upload": r.choice(["0 B", "10 kB", "2 MB"]),
        "download": r.choice(["0 B", "1 kB"]),
        "preprocess": r.choice(["0 s", "10 ms"]),
        "protocol": r.choice(["0 s", "20 ms"]),
        "retries": r.choice([0, 2]),
        "retry_backoff": "100 ms",
    }
    if r.random() < 0.4:
        request["adapters"] = {"count": r.choice([1, 20]), "skew": 1}
    if r.random() < 0.2:
        request["samples"] = min(r.choice([2, 5]), services["llm"]["batching"]["max_batch"])
    elif random.Random(f"stream {seed}").random() < 0.4:
        request |= {"streaming": True, "stream_interval": "50 ms" if seed % 3 == 0 else "0 s"}
    elif r.random() < 0.1:
        request["embedding"] = True
        del request["output_tokens"]
    if r.random() < 0.4:
        request["deadline"] = r.choice(["1 ns", "50 ms", "2 s"])
    divide_replicas(seed, nodes["gpu"], services["llm"])
    random_batching(seed, services["law"], request)
    device, local = random_device(seed)
    nodes["phone"].update(device)
    services["local"] = {**local, "on": "phone", "queue": queue}
    if "model_cache" in device:
        services["other"] = {**local, "on": "phone", "priority": 2, "slots": 1}
    protocols = random_protocol(seed, services, request)
    faults = []
    for _ in range(r.randint(0, 3)):
        target = r.choice([{"link": "wan"}, {"link": "access"}, {"node": "box"},
                           {"node": "gpu", "index": 0}, {"node": "phone", "index": 0}])
        lasts = {"lasts": f"{r.choice([1, 4])} s"} if r.random() < 0.7 else {}
        faults.append({**target, "at": f"{r.randint(0, 14)} s", **lasts})
    workloads = [random_workload(r, i, request) for i in range(r.randint(1, 3))]
    return {
        "isthmus": 1, "name": "random", "seed": seed, "duration": "20 s",
        "warmup": r.choice(["0 s", "3 s"]), "nodes": nodes, "network": network,
        "services": services, "faults": faults, "protocols": protocols,
        "outboxes": random_outboxes(seed), "replicated_data": random_data(seed),
        "tenants": random_tenants(seed, services, workloads),
        "workload": workloads + [
            {"name": "others", "source": "poisson", "rate": "5 /s", "target": "other",
             "clients": {"on": "phone", "count": 6}}] * ("other" in services),
        "offload": {
            "policy": r.choice([
                "min-latency", "score", "score-corrected", "random", "threshold", "always-local",
                "always-edge", "always-cloud", "min-energy", "cheapest-within-slo", "round-robin",
                *OFFLOAD_POLICIES]),
            **offload_knowledge(seed),
            "candidates": ["local", "law", "llm"], "fallback": r.choice(["llm", "law", "local"]),
            "overload_queue": r.choice([0, 2])},
        "slo": [{"metric": "latency", "percentile": 95, "target": "1 s"}],
    }


def split_scenario(seed: int) -> dict:
    """A random scenario with cameras whose requests begin on them and end at a server."""
    r = random.Random(f"split {seed}")
    scenario = random_scenario(seed)
    scenario["nodes"]["camera"] = {
        "device": "raspberry-pi-5", "tier": "device", "zone": "field", "count": r.randint(1, 4),
        "base_power": "1 W", "upload_power": "2 W"}
    if r.random() < 0.5:
        scenario["nodes"]["camera"] |= {
            "physics": True, "units": {"cpu": {"operating_points": [
                {"frequency": "1 GHz", "voltage": "0.7 V"}, {"frequency": "2 GHz", "voltage": "1 V"}],
                "governor": r.choice(["ondemand", "powersave"])}}}
    scenario["nodes"]["server"] = {"device": "nvidia-t4", "zone": "region", "count": 2}
    scenario["network"]["access"]["camera"] = ["access"]
    access = scenario["network"]["links"]["access"]
    if access["sharing"] == "wifi":  # its rates do not change
        access["sharing"] = "shared"
        del access["stations"]
    access["trace"] = [
        [f"{t} s", f"{r.choice([0.1, 2, 30, 200])} Mbps"] for t in (0, 4, 8, 12)]
    model = r.choice(["yolov5n", "resnet-18"])
    batching = r.choice([
        "none", {"policy": "greedy", "max_batch": 8},
        {"policy": "dynamic", "max_batch": 4, "max_queue_delay": "20 ms"}])
    split = {"policy": r.choice(["client-only", "remote-only", "chain", "min-cut", "min-cut"]),
             "head": "head", "hysteresis": r.choice([0, 0.2, 5]),
             "energy_weight": r.choice([0, 0.1]), "accuracy_loss": 0.01}
    if r.random() < 0.5:
        split["encode"] = r.choice([["int8"], ["fp16", "int8"]])
    if r.random() < 0.5:
        split["via"] = ["middle"]
        scenario["nodes"]["box"]["device"] = "jetson-nano"
        scenario["services"]["middle"] = {
            "model": model, "on": "box", "queue": random_queue(r), "slots": r.choice([1, 2])}
        scenario["network"]["routes"].append({"from": "metro", "to": "region", "links": ["wan"]})
    scenario["services"] |= {
        "tail": {"model": model, "on": "server", "batching": batching, "queue": random_queue(r),
                 "replicas": r.choice([1, 2]), "split": split},
        "head": {"model": model, "on": "camera", "queue": random_queue(r),
                 "slots": r.choice([1, 2])},
    }
    if scenario["protocols"] and r.random() < 0.7:
        scenario["services"]["tail"]["protocol"] = "talk"
    for target in ("tail", "head"):
        scenario["workload"].append({
            "name": target, "source": "poisson", "rate": f"{r.choice([1, 10, 40])} /s",
            "target": target, "clients": {"on": "camera", "count": r.randint(4, 9)},
            "request": scenario["workload"][0]["request"]})
    scenario["faults"] += [
        {"node": "camera", "index": 0, "at": "6 s", "lasts": "2 s"},
        {"node": "server", "index": 0, "at": "9 s", "lasts": "2 s"}][:r.randint(0, 2)]
    return scenario


def pooled_scenario(seed: int) -> dict:
    """A random scenario whose LLM service stands in pools, often apart and often scaled."""
    r = random.Random(f"pools {seed}")
    scenario = random_scenario(seed)
    llm = scenario["services"]["llm"]
    scaling = {key: llm.pop(key) for key in ("autoscaling", "max_replicas", "replicas") if key in llm}
    scenario["nodes"]["far"] = {"device": "nvidia-h100-sxm", "count": r.randint(1, 3),
                                "zone": r.choice(["region", "metro"]), "accelerators": 32}
    scenario["network"]["routes"].append({"from": "region", "to": "metro", "links": ["fabric"]})
    scenario["network"]["links"]["fabric"] = {
        "bandwidth": r.choice(["100 Mbps", "100 Gbps"]), "latency": r.choice(["0 s", "1 ms"])}
    pools = {"decode": {"role": "decode", "on": "far"}, "prefill": {"role": "prefill"}}
    if r.random() < 0.3:
        pools["more"] = {"role": "decode", "on": "far",
                         "batching": {"policy": "continuous", "kv_tokens": 1000}}
    if r.random() < 0.3:
        pools["whole"] = {"role": "both", "on": "far"}
    if r.random() < 0.2:
        pools = {"a": {}, "b": {"on": "far", "replicas": 2}}
    elif r.random() < 0.8:
        llm["kv_transfer"] = r.choice(["after-prefill", "layerwise"])
        llm["decode_routing"] = r.choice(["random", "kv-usage", "round-robin"])
    for pool in pools.values():
        if r.random() < 0.5:
            pool.update(scaling)
    llm["pools"] = pools
    for workload in scenario["workload"]:
        workload.get("request", {}).pop("samples", None)
        if r.random() < 0.3 and "tokens_per_hash" not in workload:
            workload["task"] = {"steps": 4, "action": "50 ms", "session": {
                "system_tokens": r.choice([0, 33]), "keep_images": r.choice([1, 2, 9])}}
    if llm["batching"]["scheduling"] == "static":
        llm["batching"]["scheduling"] = "orca"
    if r.random() < 0.5:
        llm["batching"]["reserve_prompt"] = llm["batching"]["prefix_caching"] = True
    scenario["faults"] += [
        {"node": "far", "index": 0, "at": f"{r.randint(1, 12)} s", "lasts": "2 s"},
        {"link": "fabric", "at": f"{r.randint(1, 15)} s", "lasts": "1 s"}][:r.randint(0, 2)]
    return scenario


def moving_scenario(seed: int) -> dict:
    """A random scenario whose phones have radios, traces, cells and all kinds of trouble."""
    r = random.Random(f"moves {seed}")
    scenario = r.choice([random_scenario, random_scenario, split_scenario, pooled_scenario])(seed)
    network = scenario["network"]
    split = r.random() < 0.6
    radio = {"bandwidth": f"{r.choice([2, 20])} Mbps", "latency": "15 ms",
             "sharing": "split-duplex" if split else "shared",
             "per_nodes": r.choice([1, 1, 3])}
    if r.random() < 0.5:
        radio["trace"] = [[f"{t} s", f"{r.choice([0.3, 3, 30])} Mbps"] for t in (0, 1, 3, 4)]
        radio["loop"] = r.choice([True, False, "7 s"])
        radio["trace_start"] = r.choice(["together", "staggered", "random"])
        radio["trace_offset"] = r.choice(["0 s", "2500 ms"])
        if split and r.random() < 0.5:
            radio["trace_down"] = [["0 s", "10 Mbps"], ["2 s", "1 Mbps"]]
    if r.random() < 0.5:
        radio["promotion"] = {"delay": {"distribution": "uniform", "low": "0.2 s", "high": "1 s"},
                              "after": r.choice(["0 s", "500 ms", "10.5 s"])}
    if r.random() < 0.5:
        radio["jitter"] = {"distribution": "exponential", "mean": "10 ms"}
    if r.random() < 0.5:
        radio |= {"loss": r.choice([0.001, 0.2]), "loss_model": r.choice(["tcp", "link-layer"])}
    network["links"] |= {"radio": radio, "cell": {"bandwidth": "50 Mbps", "sharing": "shared",
                                                  "per_nodes": r.choice([0, 2])},
                         "other": {"bandwidth": "5 Mbps", "latency": "30 ms", "per_nodes": 0}}
    network["links"]["access"].pop("stations", None)  # nobody is left there
    network["access"]["phone"] = ["radio", "cell"]
    if r.random() < 0.7:
        network["mobility"] = [{
            "on": "phone", "cells": ["cell", "other"], "next": r.choice(["random", "in-order"]),
            "residence": r.choice(["1 ms", "700 ms", {"distribution": "exponential", "mean": "3 s"}]),
            "gap": r.choice(["0 s", "200 ms", {"distribution": "uniform", "low": "0 s",
                                               "high": "2 s"}]),
            "in_flight": r.choice(["stall", "fail"])}]
    for owner in (network, scenario["services"]["law"]):
        if r.random() < 0.6:
            owner["transfers"] = {
                "on_failure": r.choice(["fail", "retry", "resume"]), "attempts": r.choice([1, 3, 50]),
                "backoff": {"initial": r.choice(["0 s", "300 ms"]), "jitter": r.choice([0, 1])}}
    network["tcp"] = {"law": r.choice(["mathis", "pftk"])}
    chance = {"time_to_failure": {"distribution": "exponential", "mean": r.choice(["2 s", "15 s"])},
              "time_to_repair": {"distribution": "uniform", "low": "0 s", "high": "2 s"}}
    scenario["faults"] += r.sample([
        {"link": "radio", **chance},
        {"zone": r.choice(["field", "region"]), **chance},
        {"links": ["cell", "other"], "nodes": ["box"], "at": "5 s", "lasts": "3 s"},
        {"link": "wan", "capacity": 0.1, **chance},
        {"node": "phone", "together": r.random() < 0.5, **chance},
        {"links": ["wan", "radio"], "capacity": 0.5, "at": "2 s", "lasts": "9 s"},
    ], r.randint(0, 4))
    return scenario


def random_caches(r: random.Random) -> list:
    caches = []
    for i in range(r.randint(1, 3)):
        cache = r.choice([{"scope": "replica", "coalesce": r.random() < 0.6},
                          {"scope": "node", "coalesce": r.random() < 0.6},
                          {"server": "mc", "request": r.choice(["0 B", "200 B"]), "miss": "50 B"}])
        cache |= {"replacement": r.choice(["lru", "lfu", "fifo", "s3-fifo"]),
                  "lookup_time": r.choice(["0 s", "0 s", "3 ms"]), "name": f"c{i}"}
        if r.random() < 0.7:
            cache["entries"] = r.choice([1, 5, 100])
        if r.random() < 0.5:
            cache["capacity"] = r.choice(["1 B", "5 kB", "1 MB"])
        if r.random() < 0.5:
            cache |= {"ttl": r.choice(["10 ms", "3 s"]), "ttl_from": r.choice(["write", "use"])}
        if r.random() < 0.3:
            cache["similarity"] = {"threshold": r.choice([0, 0.6]), "suits": [[0, 0], [1, 0.9]]}
        caches.append(cache)
    return caches


def cached_scenario(seed: int) -> dict:
    """A random scenario with gateways, cache servers and stores that come, fail and go."""
    r = random.Random(f"caches {seed}")
    scenario = random_scenario(seed)
    scenario["nodes"]["gates"] = {"count": r.randint(1, 3), "zone": "metro"}
    scenario["nodes"]["servers"] = {"count": 2, "zone": "region"}
    scenario["network"]["routes"].append({"from": "metro", "to": "region", "links": ["wan"]})
    services = scenario["services"]
    services["gate"] = {
        "service_time": r.choice(["0 s", "1 ms"]), "on": "gates", "queue": random_queue(r),
        "slots": r.choice([1, 8]), "calls": {"service": r.choice(["llm", "llm", "law"])},
        "caches": random_caches(r), "routing": r.choice(["random", "round-robin"])}
    if r.random() < 0.4:
        services["gate"] |= {"max_replicas": 3, "autoscaling": {
            "policy": "queue-length", "target": 1, "period": "1 s", "scrape_period": "1 s"}}
    services["law"]["calls"] = {"service": "db", "request": "300 B"}
    for name in ("gate", "law"):
        random_balancer(r, services[name])
    if r.random() < 0.5:
        services["law"] |= {"caches": random_caches(r), "caches_hold": r.choice(["answers", "calls"])}
    for name, time in (("db", "20 ms"), ("mc", "1 ms")):
        services[name] = {
            "service_time": {"distribution": "exponential", "mean": time}, "on": "servers",
            "replicas": r.choice([1, 2]), "queue": random_queue(r), "accuracy": 0.5,
            "request_overhead": r.choice(["0 s", "1 ms"]),
            "routing": r.choice(["consistent-hash", "modulo-hash", "random", "maglev", "jump-hash",
                                 "bounded-load-hash"])}
        random_balancer(r, services[name])
    scenario["workload"].append({
        "name": "gate", "source": "poisson", "rate": f"{r.choice([5, 60])} /s", "target": "gate",
        "clients": {"on": "phone", "count": 5}, "request": dict(scenario["workload"][0]["request"])})
    for workload in scenario["workload"]:
        if "session" not in workload.get("task", {}):
            workload["request"] = workload.get("request", {}) | {"key": r.choice([
                {"law": "uniform", "items": 3, "space": "s"},
                {"law": "zipf", "items": 200, "exponent": 1, "clusters": 10, "lifetime": "7 s"}])}
    scenario["faults"] += [
        {"node": "gates", "index": 0, "at": f"{r.randint(1, 12)} s", "lasts": "2 s"},
        {"node": "servers", "index": 1, "at": f"{r.randint(1, 12)} s", "lasts": "3 s"},
        {"node": "servers", "index": 0, "at": f"{r.randint(1, 18)} s", "lasts": "1 s"}][
            :r.randint(0, 3)]
    return scenario


def random_pool(r: random.Random) -> dict:
    pool = {"max_idle": r.choice([0, 1, 2]), "round_trips": r.choice([0, 1, 3]), "shared": r.random() < 0.3,
            "encryption": r.choice(["none", "tls-1.2", "tls-1.3"]), "open_time": r.choice(["0 s", "2 ms"])}
    if r.random() < 0.7:
        pool["max_open"] = r.choice([2, 4])
    for field in ("max_lifetime", "max_idle_time", "wait_timeout"):
        if r.random() < 0.4:
            pool[field] = r.choice(["1 ns", "30 ms", "2 s"])
    return pool


def tiers_scenario(seed: int) -> dict:
    """A random scenario with caches, and services that call others in order and in parallel through pools."""
    r = random.Random(f"tiers {seed}")
    scenario = cached_scenario(seed)
    services = scenario["services"]
    pooled = {"service": "sql", "pool": "main"}
    calls = [pooled | {"count": r.choice([1, 3])}, {"service": "mid"}, {"service": "kv"},
             {"service": "kv", "request": "1 kB"}, pooled | {"answer": "0 B"}, {"service": "llm"}]
    services["shop"] = {
        "service_time": r.choice(["0 s", "1 ms"]), "on": "gates", "slots": r.choice([1, 8]),
        "replicas": r.choice([1, 2]), "routing": r.choice(["random", "round-robin"]),
        "connection_pools": {"main": random_pool(r)},
        "calls": [c | {"parallel": r.random() < 0.5, "chance": r.choice([1, 1, 0.5, 0])}
                  for c in [pooled, *r.sample(calls, r.randint(0, 5))]]}
    if r.random() < 0.4:
        services["shop"]["caches"] = random_caches(r)
    if r.random() < 0.3:
        services["shop"] |= {"max_replicas": 3, "autoscaling": {
            "policy": "queue-length", "target": 1, "period": "1 s", "scrape_period": "1 s"}}
    services["mid"] = {
        "service_time": "1 ms", "on": "servers", "slots": 2, "connection_pools": {"own": random_pool(r)},
        "calls": [{"service": "sql", "pool": "own", "parallel": r.random() < 0.5, "count": r.choice([1, 2])},
                  {"service": "kv", "parallel": r.random() < 0.5}]}
    for name, time in (("sql", "15 ms"), ("kv", "1 ms")):
        services[name] = {
            "service_time": {"distribution": "exponential", "mean": time}, "on": "servers",
            "slots": r.choice([1, 4]), "replicas": r.choice([1, 2]), "queue": random_queue(r)}
    if r.random() < 0.5:
        services["sql"]["max_connections"] = r.choice([1, 3])
    if r.random() < 0.6:
        services["mq"] = {
            "service_time": "1 ms", "on": "servers", "slots": r.choice([1, 8]), "replicas": r.choice([1, 2]),
            "calls": [{"service": "mid", "parallel": r.random() < 0.5, "chance": r.choice([1, 0.5])}, {"service": "kv"}],
            "message_queue": {
                "concurrency": r.choice([1, 3]), "redelivery_delay": r.choice(["0 s", "500 ms"]),
                "max_tries": r.choice([1, 3]), "durable": r.random() < 0.6}}
        if r.random() < 0.5:
            services["mq"]["message_queue"] |= {"capacity": r.choice([1, 20]), "ack_timeout": r.choice(["1 ms", "200 ms"])}
        services["shop"]["calls"].append({"service": "mq", "parallel": r.random() < 0.5})
    if services["sql"]["replicas"] == 2 and r.random() < 0.5:
        scenario["failover"] = {"sql": {
            "service": "sql", "replication": r.choice(["synchronous", "asynchronous"]), "write_share": 0.3,
            "probe_interval": "500 ms", "promotion": r.choice(["0 s", "1 s"])}}
    services["rows"] = {"service_time": "2 ms", "on": "servers", "slots": 4, "replicas": 2}
    services["shop"]["calls"] += [{"service": "rows", "operation": o, "chance": 0.5} for o in ("any", "read", "write")]
    scenario.setdefault("failover", {})["rows"] = {
        "service": "rows", "replication": r.choice(["synchronous", "asynchronous"]), "write_share": 0.5,
        "probe_interval": "500 ms", "promotion": r.choice(["0 s", "1 s"]),
        "reads_from": r.choice(["standby", "nearest"]), "read_your_writes": r.random() < 0.5}
    scenario["workload"].append({
        "name": "shop", "source": "poisson", "rate": f"{r.choice([5, 60])} /s", "target": "shop",
        "clients": {"on": r.choice(["phone", "gates"]), "count": 5},
        "request": dict(scenario["workload"][0]["request"])})
    return scenario


def hedge(seed: int, scenario: dict) -> None:
    """Sends further copies of requests that do not begin on their client's machine."""
    r = random.Random(f"hedge {seed}")
    for workload in scenario["workload"]:
        if r.random() < 0.5 or workload.get("target") in ("tail", "other"):
            continue
        hedging = r.choice([
            {}, {"delay": r.choice(["1 ns", "30 ms", "400 ms"])},
            {"after_percentile": r.choice([0.5, 0.9]), "window": r.choice([10, 1000])}])
        hedging |= {"copies": r.choice([2, 2, 3, 7]), "cancel": r.random() < 0.7}
        if r.random() < 0.3:
            hedging["budget"] = r.choice([0, 0.1, 1])
        if r.random() < 0.3:
            hedging["to"] = r.choice(["law", "llm"])
            if workload.get("clients", {}).get("on") == "box":  # from there no route leads to the GPUs
                hedging["to"] = "law"
        workload["request"] = workload.get("request", {}) | {"hedging": hedging}


def updating_scenario(seed: int) -> dict:
    """A random scenario, moving or not, whose phones get new versions every way, and lose them."""
    r = random.Random(f"updates {seed}")
    scenario = r.choice([random_scenario, moving_scenario])(seed)
    shares = "units" in scenario["services"]["local"]  # such a service cannot be stopped alone
    scenario["nodes"]["hub"] = {"zone": "metro", "count": r.choice([1, 2])}
    inland = {"from": "metro", "to": "region", "links": ["wan"]}
    if inland not in scenario["network"]["routes"]:
        scenario["network"]["routes"].append(inland)
    updates = {}
    for i in range(r.randint(1, 3)):
        update = {"from": r.choice(["gpu", "box"]), "size": r.choice(["1 B", "200 kB", "3 MB"]),
                  "at": f"{r.choice([0, 1000, 4000]) + 10 * i} ms", "poll": r.choice(["0 s", "1 ms", "3 s"]),
                  "message": r.choice(["0 B", "1 kB"]), "retry": r.choice(["1 ms", "300 ms"]),
                  "way": r.choice(["direct", "cdn", "peer"]), "chunk": r.choice(["1 kB", "300 kB"]),
                  "on_failure": r.choice(["resume", "chunk"]), "install": r.choice(["0 s", "1 s"])}
        if update["way"] == "cdn":
            update["relays"] = "hub"
        if update["way"] == "peer":
            update["uploads"] = r.choice([1, 3])
        elif r.random() < 0.3:
            update["on_failure"] = "restart"
        if r.random() < 0.5:
            update["concurrent"] = r.choice([1, 2])
        if r.random() < 0.5:
            update["delta"] = {"changed": 0.3, "patch": "1 MB/s"}
            update["format"] = {"ratio": 2, "decode": "2 MB/s"}
        if r.random() < 0.4:
            update["waves"] = [{"share": 0.4}, {"share": 1, "after": r.choice(["0 s", "2 s"])}]
        if r.random() < 0.6:
            update["service"] = "local"
            update["accuracy"] = 0.5
            if not shares:
                update["restart"] = r.choice(["0 s", "1 s"])
        else:
            update["to"] = r.choice(["phone", ["phone"]])
        if r.random() < 0.6:
            kept = r.random() < 0.6
            update["rollback"] = {"keep_previous": kept} | r.choice(
                [{"at": f"{r.randint(6, 15)} s"}, {"share": 0.4, "after": "1 s"}])
            if kept and not shares:
                update["rollback"]["switch_time"] = r.choice(["0 s", "500 ms"])
        updates[f"u{i}"] = update
    scenario["updates"] = updates
    scenario["faults"] += r.sample([
        {"node": "hub", "index": 0, "at": "3 s", "lasts": "2 s"},
        {"node": "phone", "index": 0, "at": "4 s", "lasts": "3 s"},
        {"node": "box", "at": "2 s", "lasts": "3 s"},
        {"link": "access", "at": "5 s", "lasts": "1 s"}], r.randint(0, 3))
    return scenario


def random_placement(r: random.Random, own: str, others: list) -> dict:
    """Rules that leave room for some machines, most of the time."""
    rules = {"policy": r.choice(["first-fit", "best-fit", "worst-fit", "spread", "least-cost", "random",
                                 "least-allocated", "most-allocated", "dominant-resource"]),
             "requests": {"accelerators": r.choice([0, 1, 1, 2]), "memory": r.choice(["0 B", "3 GB"])},
             "failover": r.choice(["0 s", "2 s"]), "movable": r.random() < 0.8}
    if r.random() < 0.4:
        rules["requires"] = r.choice([{"memory": "20 GB"}, {"zone": ["z1", "z2"]}, {"labels": {"land": "de"}},
                                      {"tier": "cloud"}, {"accelerator": "gpu"}])
    if r.random() < 0.5:
        rules["tolerates"] = r.choice([["kept"], ["kept=yes"], ["*"], ["other"]])
    if r.random() < 0.3:
        rules["spread"] = {"over": r.choice(["zone", "machine"]), "max_skew": r.choice([1, 2]),
                           "hard": r.random() < 0.5}
    if r.random() < 0.3:
        rules["anti_affinity"] = [r.choice([own, *others])]
        rules["anti_affinity_over"] = r.choice(["machine", "zone"])
    elif others and r.random() < 0.2:
        rules["affinity"] = [others[0]]
        rules["affinity_over"] = r.choice(["machine", "zone"])
    return rules


def placed_scenario(seed: int) -> dict:
    """A random scenario with services that look for machines of several kinds, and with batch jobs."""
    r = random.Random(f"placed {seed}")
    scenario = random_scenario(seed)
    nodes, services = scenario["nodes"], scenario["services"]
    for name in ("big", "small"):
        nodes[name] = {
            "kind": "gpu", "count": r.randint(1, 4), "accelerators": r.choice([2, 4]), "zone": r.choice(["z1", ["z1", "z2"]]) if name == "big" else "z2",
            "memory": "40 GB" if name == "big" else "16 GB", "labels": {"land": r.choice(["de", "us"])},
            "price": "2 USD/h", "billed_when_idle": r.random() < 0.5}
        if r.random() < 0.4:
            nodes[name]["taints"] = [r.choice(["kept=yes", "kept=yes:PreferNoSchedule", "kept:NoExecute"])]
    scenario["network"]["routes"] += [{"from": ["field", "region"], "to": ["z1", "z2"], "links": ["wan"]},
                                      {"from": "metro", "to": ["z1", "z2", "region"], "links": ["wan"]}]
    for i in range(r.randint(1, 3)):
        name = f"placed{i}"
        services[name] = {
            "service_time": {"distribution": "exponential", "mean": r.choice(["20 ms", "300 ms"])},
            "on": ["big", "small"], "replicas": r.choice([1, 1, 2]), "cold_start": r.choice(["0 s", "2 s"]),
            "queue": random_queue(r), "placement": random_placement(r, name, [f"placed{j}" for j in range(i)])}
        if r.random() < 0.5:
            services[name] |= {"max_replicas": 5, "autoscaling": {
                "policy": "queue-length", "target": 1, "max_replicas": 5, "period": "1 s", "scrape_period": "1 s"}}
        scenario["workload"].append({
            "name": name, "source": "poisson", "rate": f"{r.choice([2, 20])} /s", "target": name,
            "clients": {"on": "phone", "count": 4}, "request": {"upload": "1 kB", "retries": r.choice([0, 2])}})
    if r.random() < 0.6:
        scenario["descheduler"] = {"period": r.choice(["1 s", "5 s"]), "max_moves": r.choice([1, 8]),
                                   "consolidate": r.random() < 0.5}
    jobs = {}
    for i in range(r.randint(0, 2)):
        job = {"workers": r.choice(["small", ["big", "small"], "box"]), "slots": r.choice([1, 2]),
               "start": r.choice(["0 s", "3 s"]), "items": r.choice([7, 100]), "shards": r.choice([1, 7]),
               "item_time": r.choice(["100 ms", {"distribution": "exponential", "mean": "200 ms"}]),
               "assignment": r.choice(["consistent-hash", "queue", "stealing"]),
               "setup": r.choice(["0 s", "300 ms"]), "retries": r.choice([0, 3, 1000])}
        if r.random() < 0.3:
            job["slowdown"] = {"distribution": "choice", "values": [1, 8], "weights": [0.8, 0.2]}
        if r.random() < 0.6:
            job["checkpoint"] = r.choice([{"items": 3}, {"every": "500 ms", "time": "50 ms"}])
            if r.random() < 0.5:
                job["checkpoint"] |= {"bytes": r.choice(["1 kB", "5 MB"]), "storage": "gpu"}
        if r.random() < 0.3:
            job["timeout"] = r.choice(["1 s", "6 s"])
        if nodes["box"]["count"] + nodes["small"]["count"] > 2 and job["workers"] != "box" and (
                nodes["small"]["count"] > 1) and r.random() < 0.5:
            job["speculation"] = {"check": "500 ms", "slow_factor": 1.2, "share": r.choice([0.1, 1])}
        jobs[f"j{i}"] = job
    scenario["jobs"] = jobs
    chance = {"time_to_failure": {"distribution": "exponential", "mean": r.choice(["3 s", "20 s"])},
              "time_to_repair": r.choice(["500 ms", "5 s"])}
    scenario["faults"] += r.sample([
        {"node": "big", "together": False, **chance}, {"node": "small", "together": False, **chance},
        {"zone": "z1", "at": "6 s", "lasts": "3 s"}, {"node": "box", "index": 0, "at": "5 s", "lasts": "1 s"},
        {"node": "gpu", "at": "8 s", "lasts": "2 s"}], r.randint(0, 3))
    return scenario


def clustered_scenario(seed: int) -> dict:
    """Machines come and go with the replicas that wait for them; some are taken back."""
    r = random.Random(f"clustered {seed}")
    scenario = placed_scenario(seed)
    del scenario["jobs"]
    groups = {}
    for name in ("big", "small"):
        node = scenario["nodes"][name]
        node["count"] = r.randint(1, 6)
        del node["billed_when_idle"]
        least = r.randint(0, min(2, node["count"]))
        most = r.randint(max(1, least), node["count"])
        group = groups[name] = {
            "min": least, "max": most, "start": r.randint(least, most), "failure": r.choice([0, 0, 0.3]),
            "provisioning": r.choice(["0 s", "1 s", {"distribution": "exponential", "mean": "2 s"}]),
            "priority": r.randint(0, 1)}
        if r.random() < 0.5:
            node["billing"] = {"kind": "spot", "discount": 0.6}
            group["spot"] = {"interruptions_per_hour": r.choice([0, 200, 1000]), "notice": r.choice(["0 s", "1 s"]),
                             "schedule": [{"at": f"{r.randint(0, 15)} s", "machines": r.choice([1, 2])}
                                          for _ in range(r.randint(0, 2))]}
    for name, service in scenario["services"].items():
        if "placement" in service:
            requests = service["placement"].setdefault("requests", {})
            requests["accelerators"] = max(1, requests.get("accelerators", 0))
            service["placement"].pop("requires", None)
    if r.random() < 0.5:
        scenario.pop("descheduler", None)
    scenario["cluster_autoscaler"] = {
        "groups": groups, "expander": r.choice(["least-waste", "most-pods", "price", "priority", "random"]),
        "scan_interval": r.choice(["100 ms", "1 s"]), "max_node_provision_time": r.choice(["2 s", "15 min"]),
        "initial_backoff": "1 s", "max_backoff": "2 s", "utilization_threshold": r.choice([0.5, 1]),
        "unneeded_time": r.choice(["0 s", "1 s"]), "delay_after_add": r.choice(["0 s", "1 s"]),
        "graceful_termination": r.choice(["0 s", "2 s"]), "max_empty": r.choice([1, 10])}
    return scenario


@pytest.mark.parametrize("seed", seeds())
def test_clusters(seed):
    """Never more machines than allowed nor, unless they are taken back, fewer; rules of placement hold; no request is
    forgotten."""
    scenario = clustered_scenario(seed)
    scenario["workload"] = [w for w in scenario["workload"] if w.get("name", "").startswith("placed")]
    runs = [isthmus.run(scenario, overrides={"/network/model": model}) for model in ("fluid", "simgrid")]
    for run in runs:
        metrics = run.metrics
        assert metrics["placement_violations"] == 0
        counts = run.conservation
        assert counts["created"] == sum(counts.values()) - counts["created"] == len(run.requests)
        for name, group in scenario["cluster_autoscaler"]["groups"].items():
            assert metrics[f"node_count_max.{name}"] <= group["max"]
            if "spot" not in group:
                assert metrics[f"node_count.{name}"] >= group["min"] - 1e-9
                assert metrics[f"node_interruptions.{name}"] == 0
            assert metrics[f"node_orders_failed.{name}"] <= metrics[f"node_orders.{name}"]
            assert metrics[f"node_work_lost.{name}"] >= 0
        assert metrics["pending_replica_seconds"] >= 0


@pytest.mark.parametrize("seed", seeds())
def test_placements_and_jobs(seed):
    """Whatever fails: no rule is broken at any change, no item is done twice, both networks agree."""
    scenario = placed_scenario(seed)
    scenario["workload"] = [w for w in scenario["workload"] if w.get("name", "").startswith("placed")]
    try:
        runs = [isthmus.run(scenario, overrides={"/network/model": model}) for model in ("fluid", "simgrid")]
    except isthmus.InputError as error:  # no room for all at the start
        assert "machines can take it" in str(error) or "no machine is what it requires" in str(error)
        return
    for run in runs:
        metrics = run.metrics
        assert metrics["placement_violations"] == 0
        for name, service in scenario["services"].items():
            if "placement" in service:
                assert 0 <= metrics[f"placement_fragmentation.{name}"] <= 1
                assert metrics[f"placement_machines.{name}"] <= nodes_of(scenario)
        for name, job in scenario["jobs"].items():
            of = {key.split(".")[0]: value for key, value in metrics.items() if key.endswith("." + name)}
            done = job["shards"] - of["job_unfinished"]
            sizes = [job["items"] // job["shards"] + (i < job["items"] % job["shards"]) for i in range(job["shards"])]
            assert sum(sorted(sizes)[:int(done)]) <= of["job_items"] <= sum(sorted(sizes)[len(sizes) - int(done):])
            assert of["job_failed"] <= of["job_unfinished"]
            assert of["job_retries"] + of["job_copies"] + job["shards"] >= of["job_attempts"]
            assert of["job_copies_won"] <= of["job_copies"]
            assert of["job_lost"] + of["job_duplicate"] <= of["job_busy"] + 1e-6
            if of["job_unfinished"] == 0 and not job.keys() & {"slowdown", "speculation"} and (
                    job["item_time"] == "100 ms" and job["setup"] == "0 s"):
                # All time is work on items, each once, or checkpoints, or lost; items cut short by checkpoints
                # that the network lost are in none of them.
                spent = of["job_items"] * 0.1 + of["job_checkpoint_time"] + of["job_lost"]
                assert of["job_busy"] <= spent + 1e-6
                assert of["job_busy"] >= of["job_items"] * 0.1 + of["job_lost"] - 1e-6
    for name in runs[0].metrics.index:
        if name.startswith("job_"):
            a, b = (run.metrics[name] for run in runs)
            assert a == pytest.approx(b, rel=1e-6, abs=1e-6, nan_ok=True), name


def nodes_of(scenario: dict) -> int:
    return scenario["nodes"]["big"]["count"] + scenario["nodes"]["small"]["count"]


def trouble(seed: int, scenario: dict) -> None:
    """Slow machines, crashes, maintenance, chaos, a primary that is lost, and service levels."""
    r = random.Random(f"trouble {seed}")
    services, nodes = scenario["services"], scenario["nodes"]
    chance = {"time_to_failure": r.choice([
        {"distribution": "exponential", "mean": "6 s"}, {"distribution": "weibull", "scale": "5 s", "shape": 0.7}]),
        "time_to_repair": {"distribution": "lognormal", "median": "1 s", "sigma": 1}}
    scenario["faults"] = scenario.get("faults", []) + r.sample([
        {"node": r.choice(sorted(nodes)), "speed": r.choice([0.001, 0.3, 1]), "at": f"{r.randint(0, 15)} s",
         "lasts": r.choice(["1 ms", "5 s"])},
        {"node": "gpu", "speed": 0.5, **chance},
        {"node": "box", "speed": 0.1, **chance, "together": True},
        {"links": ["wan"], "nodes": ["gpu"], "speed": 0.5, "capacity": 0.5, "at": "3 s", "lasts": "4 s"},
        {"zones": ["metro", "region"], "at": f"{r.randint(1, 15)} s", "lasts": "2 s"},
        {"node": "gpu", "index": 0, "accelerator": 0, "at": "2 s", "lasts": r.choice(["1 s", "9 s"])},
    ], r.randint(0, 4))
    crashing = [name for name in ("llm", "law", "local") if not {"pools", "calls", "caches"} & set(services[name])]
    if "model_cache" in nodes["phone"] and "units" in services["local"]:
        crashing.remove("local")
    backoff = {"restart_delay": r.choice(["0 s", "500 ms"]), "restart_limit": "2 s", "restart_reset": "3 s"}
    if crashing and r.random() < 0.6:
        scenario["crashes"] = [
            {"service": r.choice(crashing), **backoff, **r.choice([
                {"at": f"{r.randint(0, 12)} s"},
                {"time_to_failure": {"distribution": "exponential", "mean": r.choice(["1 ms", "3 s"])}}])}
            for _ in range(r.randint(1, 3))]
    if r.random() < 0.5:
        scenario["maintenance"] = [{"node": r.choice(["box", "gpu"]), "at": f"{r.randint(0, 9)} s",
                                    "takes": r.choice(["10 ms", "2 s"]), "grace": r.choice(["0 s", "300 ms", "5 s"]),
                                    "max_unavailable": r.choice([1, 2])}]
    every = {"every": {"distribution": "exponential", "mean": "3 s"}, "victims": r.choice([1, 2, 9])}
    scenario["chaos"] = r.sample([
        {"action": "fail", "node": r.choice(["box", "phone"]), "lasts": "700 ms", **every},
        {"action": "slow", "node": "gpu", "lasts": "2 s", "speed": 0.2, **every},
        *({"action": "crash", "service": name, **every, **backoff} for name in crashing)], r.randint(0, 2))
    if r.random() < 0.6:
        nodes["stores"] = {"count": 3, "zone": ["metro", "region", "field"]}
        inland = {"from": "metro", "to": "region", "links": ["wan"]}
        if inland not in scenario["network"]["routes"]:
            scenario["network"]["routes"].append(inland)
        services["store"] = {"service_time": {"distribution": "exponential", "mean": "5 ms"}, "on": "stores",
                             "replicas": r.choice([2, 3]), "slots": r.choice([1, 8]), "local": False,
                             "cold_start": r.choice(["0 s", "1 s"]), "queue": random_queue(r)}
        scenario["workload"].append({
            "name": "store", "source": "poisson", "rate": "20 /s", "target": "store",
            "clients": {"on": "phone", "count": 5}, "request": {"retries": r.choice([0, 2]), "upload": "1 kB"}})
        how = r.choice(["synchronous", "asynchronous", "checkpoint"])
        scenario.setdefault("failover", {})["store"] = {
            "service": "store", "replication": how, "write_share": r.choice([0, 0.5, 1]),
            "probe_interval": r.choice(["10 ms", "500 ms"]), "misses": r.choice([1, 3]),
            "promotion": r.choice(["0 s", "1 s"]),
            **({"batch_interval": r.choice(["1 ms", "1 s"])} if how == "asynchronous" and r.random() < 0.5 else {}),
            **({"checkpoint_interval": "2 s", "checkpoint_bytes": "100 MB", "log": r.random() < 0.5}
               if how == "checkpoint" else {})}
        scenario["faults"] += [
            {"node": "stores", "index": r.randint(0, 2), "at": f"{r.randint(1, 12)} s",
             "lasts": r.choice(["300 ms", "4 s"])}
            for _ in range(r.randint(0, 3))]
        if r.random() < 0.5:
            scenario.setdefault("crashes", []).append(
                {"service": "store", **backoff, "time_to_failure": {"distribution": "exponential", "mean": "4 s"}})
    levels = {
        "fast": {"indicator": r.choice(["latency", "ttft", "tpot"]), "within": "300 ms", "objective": "90 %",
                 "alerts": [{"kind": "percentile", "name": "p", "above": "500 ms", "window": "2 s", "hold": "1 s"}]},
        "up": {"objective": "99 %", "services": [r.choice(sorted(services))]},
        "there": {"indicator": "uptime", "objective": "99 %"},
        "much": {"indicator": "throughput", "least": 3, "objective": 0.5},
        "good": {"indicator": "accuracy", "least": 0.5, "objective": 0.5,
                 "alerts": [{"kind": "bad-ratio", "name": "b", "above": 0.2, "window": "1 s"}]}}
    for level in levels.values():
        level["period"], level["evaluation"] = r.choice([("20 s", "1 s"), ("7 s", "70 ms"), ("30 day", "7 s")])
        level.setdefault("alerts", []).extend(random_metric_alerts(r))
        if r.random() < 0.5:
            level["fault_grace"] = r.choice(["0 s", "1 s"])
            level["incidents"] = [{"at": f"{r.randint(0, 12)} s", "lasts": "2 s"} for _ in range(r.randint(0, 2))]
    scenario["service_levels"] = {name: levels[name] for name in r.sample(sorted(levels), r.randint(0, 5))}


def judged(scenario: dict) -> list:
    """Service levels whose alerts are judged."""
    return [name for name, level in scenario.get("service_levels", {}).items() if "fault_grace" in level]


def random_metric_alerts(r: random.Random) -> list:
    """Bounds and forecasts of metrics of a service level."""
    alerts = []
    for i in range(r.randint(0, 3)):
        metric = r.choice(["rate", "error_ratio", "mean_latency", "latency_percentile"])
        alert = {"name": f"m{i}", "metric": metric, "interval": r.choice(["1 s", "300 ms"]),
                 "hold": r.choice(["0 s", "1 s"])}
        if r.random() < 0.4:
            alert |= {"kind": "threshold", r.choice(["above", "below"]): r.choice([0, 0.2, 0.9])}
        else:
            model = r.choice(["holt-winters", "autoregression", "kalman", "naive"])
            alert |= {"kind": "anomaly", "model": model, "training": r.choice(["0 s", "4 s"]),
                      "side": r.choice(["above", "below", "both"]), "deviations": r.choice([1, 5]),
                      "memory": r.choice([2, 30]), "learn_flagged": r.choice([0, 0.1, 1]),
                      "least_deviation": r.choice([0, 0.01]),
                      "logarithm": metric != "error_ratio" and r.random() < 0.5}
            if model in ("holt-winters", "naive") and r.random() < 0.5:
                alert["season"] = "21 s"
        alerts.append(alert)
    return alerts
def roll_out(seed: int, scenario: dict) -> None:
    """New versions by every strategy, some bad, some without room, several of one service."""
    r = random.Random(f"rollouts {seed}")
    services = scenario["services"]
    unfit = {"pools", "calls", "caches", "placement", "units"}
    primary = scenario.get("failover", {}).get("store", {}).get("service")
    calls = [s["calls"] for s in services.values() if "calls" in s]
    called = {c["service"] for given in calls for c in (given if isinstance(given, list) else [given])}
    called |= {c["on"] for s in services.values() for c in s.get("caches", []) if c.get("on") in services}
    names = [name for name in ("law", "llm", "tail", "store") if name in services
             and not unfit & set(services[name]) and name not in called | {primary}]

    def analysis(count: bool) -> list:
        metrics = [
            {"metric": "error-ratio", **r.choice([{"at_most": 0.1}, {"above_old": 0.05}])},
            {"metric": "latency", "percentile": r.choice([50, 99]), **r.choice([{"at_most": "100 ms"}, {"times_old": 1.5}])}]
        return [m | {"interval": r.choice(["400 ms", "2 s"]), "failure_limit": r.choice([0, 1]),
                     "least_requests": r.choice([1, 5]), "inconclusive_limit": r.choice([0, 20]),
                     **({"count": 3} if count else {})}
                for m in r.sample(metrics, r.choice([1, 2]))]

    limits = [{}, {"max_surge": 1, "max_unavailable": 0}, {"max_surge": 0, "max_unavailable": "50 %"},
              {"max_surge": "100 %", "max_unavailable": "100 %"}]
    scenario["rollouts"] = []
    for number in range(r.choice([0, 1, 1, 2, 3])):
        if not names:
            break
        name = r.choice(names)
        version = {"name": f"v{number + 2}", "error_rate": r.choice([0, 0, 0.3, 1]), "time_factor": r.choice([1, 0.5, 3])}
        if r.random() < 0.3:
            version["accuracy"] = r.choice([0, 0.5])
        if "startup" not in services[name] and r.random() < 0.5:
            version["cold_start"] = r.choice(["0 s", "700 ms"])
        if "service_time" in services[name] and r.random() < 0.3:
            version["service_time"] = "2 ms"
        kind = r.choice([
            {"strategy": "rolling", **r.choice(limits), **r.choice([{}, {"analysis": analysis(False)}])},
            {"strategy": "blue-green", "scale_down_delay": r.choice(["0 s", "1 s"]), "abort_delay": r.choice(["0 s", "1 s"]),
             **r.choice([{}, {"analysis": analysis(True)}])},
            {"strategy": "canary", "steps": r.sample(
                [{"set_weight": 0.1}, {"set_weight": 0.6}, {"pause": "1 s"}, {"analysis": analysis(True)}], r.randint(1, 4)),
             **r.choice([{"weights": "replicas", **r.choice(limits)}, {"abort_delay": "0 s"}]),
             **r.choice([{}, {"analysis": analysis(False)}])},
            {"strategy": "ab", "share": r.choice([0.1, 0.5]), "lasts": r.choice(["1 s", "5 s", "50 s"]),
             "promote": r.random() < 0.5}])
        scenario["rollouts"].append({
            "service": name, "version": version, "at": f"{r.randint(0, 12)} s", "scrape_period": r.choice(["100 ms", "400 ms"]),
            "min_ready": r.choice(["0 s", "300 ms"]), "progress_deadline": r.choice(["1 s", "5 s"]),
            "on_deadline": r.choice(["report", "abort"]), **kind})
    if "tail" in services and r.random() < 0.5:
        scenario["compatibility"] = [{"service": "tail", "max_skew": r.choice([0, 1]),
                                      **r.choice([{}, {"incompatible": "accuracy", "accuracy_factor": 0.1}])}]


def check_rollouts(run: "isthmus.Result") -> None:
    """Versions share what their service answered, and whoever met an error met the new version."""
    for name, versions in run.versions.groupby("service"):
        rows = run.requests[(run.requests["service"] == name) & run.requests["counted"]]
        answered = rows[rows["status"] == "completed"]
        if "cache" in rows:
            continue  # a cache's answer has no version
        assert versions["answered"].sum() <= len(answered)
        assert name == "tail" or versions["answered"].sum() == len(answered)  # devices may answer alone
        assert versions["failed"].sum() == (rows["cause"] == "service_error").sum()
    for name, rollout in run.rollouts.iterrows():
        assert 0 <= rollout["errors"] and 0 <= rollout["exposed"] <= rollout["tries"]
        assert rollout["outcome"] in ("waiting", "running", "stalled", "completed", "rolling back", "rolled back"), name
        assert not rollout["ended"] < rollout["began"]
        assert (rollout["outcome"] in ("completed", "rolled back")) <= (rollout["ended"] <= 20)
def share_accelerators(seed: int, scenario: dict) -> None:
    """Machines with several replicas on each accelerator, and what can happen to these."""
    r = random.Random(f"shared {seed}")
    if r.random() < 0.5:
        return
    how = r.choice([{"kind": "time_slicing", "slice": r.choice(["1 ms", "20 ms"]),
                     "context_switch": r.choice(["0 s", "1 ms"])}, {"kind": "mps"}])
    scenario["nodes"]["shared"] = {
        "device": "nvidia-a100-80g", "count": r.randint(1, 2), "accelerators": r.choice([1, 2]), "zone": "region",
        "sharing": how | {"replicas": 8}}
    if r.random() < 0.3:
        scenario["nodes"]["shared"]["mig"] = ["3g.40gb", "3g.40gb"]
    for i in range(r.randint(1, 3)):
        service = r.choice([
            {"service_time": {"distribution": "exponential", "mean": r.choice(["20 ms", "300 ms"])},
             "queue": r.choice([{}, {"capacity": 3}, {"order": "priority", "preemption": True}]),
             "slots": r.choice([1, 3])},
            {"model": "resnet-50", "variant": "fp32", "batching": {"policy": "greedy", "max_batch": 8}},
            {"model": "llama-3.1-8b", "batching": {"policy": "continuous", "memory_utilization": 0.3, "max_batch": 16}}])
        if "mig" in scenario["nodes"]["shared"] and service.get("model") == "llama-3.1-8b":
            service = {"service_time": "10 ms"}  # weights and a cache do not fit three times
        service |= {"on": "shared", "local": False, "cold_start": r.choice(["0 s", "500 ms"])}
        if "model" in service and "mig" in scenario["nodes"]["shared"]:
            service["unit"] = "3g.40gb"
        if "llama-3.1-8b" != service.get("model"):
            service["replicas"] = r.choice([1, 2])
        if how["kind"] == "mps" and r.random() < 0.6:
            service |= {"occupancy": r.choice([0.3, 1]), "active_thread_percentage": r.choice([40, 100])}
        scenario["services"][f"shared{i}"] = service
        scenario["workload"].append({
            "name": f"shared{i}", "source": "poisson", "rate": f"{r.choice([2, 10])} /s", "target": f"shared{i}",
            "clients": {"on": "phone", "count": 2}, "priority": r.choice([0, 1]),
            "request": {"prompt_tokens": 200, "output_tokens": 20, "retries": r.choice([0, 2]),
                        **({"deadline": "1 s"} if r.random() < 0.3 else {})}})
    scenario["faults"] += r.sample([
        {"node": "shared", "index": 0, "accelerator": 0, "at": "4 s", "lasts": "3 s"},
        {"node": "shared", "speed": 0.4, "at": "6 s", "lasts": "2 s"},
        {"node": "shared", "at": "10 s", "lasts": "1 s"}], r.randint(0, 3))


@pytest.mark.parametrize("make", [
    random_scenario, split_scenario, pooled_scenario, moving_scenario, cached_scenario, tiers_scenario,
    updating_scenario, placed_scenario])
@pytest.mark.parametrize("seed", seeds())
def test_laws(seed, make):
    scenario = make(seed)
    hedge(seed, scenario)
    share_accelerators(seed, scenario)
    if seed % 2 and make is not placed_scenario:
        trouble(seed, scenario)
    add_costs(seed, scenario)
    if seed % 3 != 2:
        roll_out(seed, scenario)
    try:
        run = isthmus.run(scenario)
    except isthmus.InputError as error:  # placements may find no room for all that is there at the start
        assert make is placed_scenario
        assert "machines can take it" in str(error) or "no machine is what it requires" in str(error)
        return
    check_ledger(run.summary)
    check_rollouts(run)

    # Conservation: every request is somewhere, and has a row.
    counts = run.conservation
    assert counts["created"] == sum(counts.values()) - counts["created"]
    assert len(run.requests) == counts["created"]

    # Service levels: alerts are resolved after they fired, budgets are spent by what is bad.
    for level in run.summary.get("service_levels", []):
        assert 0 <= level["good"] <= level["events"]
        assert level["budget_left"] <= 1
        for alert in level["alerts"] if level["name"] in judged(scenario) else []:
            right, wrong, fired, caught = (run.summary["metrics"][f"alert_{what}.{level['name']}/{alert}"]["value"]
                                           for what in ("true", "false", "count", "caught"))
            assert right + wrong == fired
            assert caught <= right
    alerts = run.alerts
    assert (alerts["fired"] >= alerts["pending"]).all()
    assert not (alerts["resolved"] <= alerts["fired"]).any()
    assert not any(name == "writes_lost.store" and m["value"] for name, m in run.summary["metrics"].items()
                   if scenario.get("failover", {}).get("store", {}).get("replication") == "synchronous"
                   and not run.summary["metrics"]["writes_alone.store"]["value"])

    # Causality.
    done = run.requests[run.requests["status"] == "completed"]
    tokens = done[done["first_token"].notna()]
    assert (tokens["first_token"] <= tokens["served"]).all()
    if "cache" in done:  # whom a cache answers need not have started
        hits = done[(done["cache"] != "none") & done["started"].isna()]
        assert (hits["served"] >= hits["arrived"]).all()
        done, tokens = done.drop(hits.index), tokens.drop(hits.index, errors="ignore")
    for before, after in itertools.pairwise(STAGES):
        assert (done[after] >= done[before]).all(), (before, after)
    assert (tokens["first_token"] >= tokens["started"]).all()

    # Further copies: one of those sent has answered, and budgets hold over all requests so far.
    if "copies" in run.requests:
        assert (run.requests["winner"] < run.requests["copies"]).all()
        assert (run.requests["wasted"] >= 0).all()
        for workload, rows in run.requests.groupby("workload", observed=True):
            spec = next(w for i, w in enumerate(scenario["workload"])
                        if w.get("name", f"workload-{i}") == workload)
            hedging = spec.get("request", {}).get("hedging", {"copies": 1})
            extra = int((rows["copies"] - 1).sum())
            assert extra <= hedging.get("budget", 1e9) * len(rows) + 1e-9
            assert (rows["copies"] <= 1 + (hedging["copies"] - 1) * rows["attempts"]).all()

    # Calls are a part of the time in service, connections are there or not.
    if "call_time" in run.requests:
        assert (run.requests[["call_time", "pool_wait"]] >= 0).all().all()
        for name, service in scenario["services"].items():
            for pool in service.get("connection_pools", {}):
                idle, connections = (run.metrics[f"pool_{what}.{name}/{pool}"] for what in ("idle", "open"))
                assert -1e-9 <= idle <= connections + 1e-9

    # Messages are consumed, dead, lost or still there.
    if scenario["warmup"] == "0 s" and "mq" in scenario["services"]:
        kept = sum(run.metrics[f"messages_{what}.mq"] for what in ("consumed", "dead", "lost", "open"))
        assert kept == run.metrics["messages_published.mq"]

    if "kv_sent" in run.requests:
        sent = done[done["kv_sent"].notna()]
        assert (sent["kv_sent"] >= sent["started"]).all()
        assert (sent["kv_received"] >= sent["first_token"]).all()
        assert (sent["kv_received"] <= sent["served"]).all()
        assert (sent["kv_bytes"] == sent["prompt_tokens"].clip(lower=1) * 131072).all()

    # Bytes of updates are kept or thrown away; a share is a share.
    for update in run.summary.get("updates", []):
        sent = update["from_origin"] + update["from_relays"] + update["from_peers"]
        assert sent == pytest.approx(update["received"] + update["wasted"], rel=1e-9, abs=1)
        assert 0 <= update["serving"] <= update["applied"] <= update["fleet"]
        assert min(update["received"], update["wasted"]) >= -1
        dates, shares = zip(*update["progress"], strict=True)
        assert list(dates) == sorted(dates)
        assert all(0 <= share <= 1 for share in shares)
        back = update.get("rollback", {"back": 0, "affected": 0})
        assert back["back"] <= back["affected"]

    # Nothing is used more than it exists, nothing is negative.
    assert run.services["utilization"].between(-1e-9, 1 + 1e-9).all()
    assert (run.services[["mean_queue", "mean_in_system"]] >= -1e-9).all().all()
    assert (run.nodes["energy"] >= 0).all()
    assert (run.nodes["hours"] <= run.nodes["count"] * 20 / 3600 + 1e-12).all()

    for name, m in run.summary["metrics"].items():
        if name.startswith(("accelerator_busy.", "accelerator_switching.")):
            assert -1e-9 <= m["value"] <= 1 + 1e-9
        if name.startswith("sharing_slowdown.") and m["value"] is not None:
            assert m["value"] >= 1 - 1e-9

    # Links draw between idle and full power; a Wi-Fi cell has one second of air time per second.
    seconds = 20 - float(scenario["warmup"].split()[0])
    for name, link in run.links[run.links["energy"].notna()].iterrows():
        share = link["energy"] / seconds
        instances = round(share) if name != "access" else sum(
            scenario["nodes"][group].get("count", 1)
            for group, links in scenario["network"]["access"].items() if "access" in links)
        assert 1 - 1e-9 <= share <= 4 * max(1, instances) + 1e-9, name
    if scenario["network"]["links"]["access"]["sharing"] == "wifi":
        assert run.links.loc["access", "utilization"] <= 1 + 1e-9

    # Messages are somewhere, within their limits.
    for name, box in scenario["outboxes"].items():
        kinds = ["delivered", "dropped", "lost_network", "lost_node", "queued"]
        count = {kind: run.metrics[f"outbox_{kind}.{name}"] for kind in ["made", *kinds]}
        assert count["made"] == sum(count[kind] for kind in kinds)
        assert run.metrics[f"outbox_backlog.{name}"] <= box.get("max_messages", 1e9)
        assert run.metrics[f"outbox_repeated.{name}"] == (
            0 if box["delivery"] == "exactly-once" else run.metrics[f"outbox_duplicates.{name}"])
    for name, data in scenario["replicated_data"].items():
        assert run.metrics[f"data_lost.{name}"] <= run.metrics[f"data_writes.{name}"]
        assert run.metrics[f"data_conflicts.{name}"] == 0 or data["conflicts"] == "keep-both" or (
            run.metrics[f"data_siblings.{name}"] == 1)

    # The trace of a machine adds up to its energy, up to what lies beyond the last sample.
    trace = run.node_samples
    if len(trace) and scenario["warmup"] == "0 s":
        step = 0.01 if scenario["nodes"]["phone"]["power_trace"] == "10 ms" else 0.1
        summed = float(trace["power"].sum()) * step
        most = 20.0 * step * scenario["nodes"]["phone"]["count"] + 1e-6 * summed
        assert abs(summed - run.nodes.loc["phone", "energy"]) <= most

    # Determinism.
    assert isthmus.run(scenario).fingerprint == run.fingerprint


def test_little():
    """Mean number in the system = throughput x mean time in it, measured independently."""
    run = isthmus.run({
        "isthmus": 1, "name": "little", "seed": 2, "duration": "20000 s", "warmup": "1000 s",
        "nodes": {"n": {}}, "services": {
            "s": {"service_time": {"distribution": "exponential", "mean": "1 s"}, "on": "n"}},
        "workload": [{"source": "poisson", "rate": "0.8 /s", "target": "s"}]})
    product = run.metrics["throughput"] * run.metrics["latency.mean"]
    assert run.services.loc["s", "mean_in_system"] == pytest.approx(product, rel=0.01)


def test_energy_is_the_integral_of_power():
    """Idle power all the time, and the rest while the unit works."""
    run = isthmus.run({
        "isthmus": 1, "name": "energy", "seed": 2, "duration": "100 s",
        "nodes": {"n": {"base_power": "3 W", "units": {"cpu": {
            "kind": "cpu", "idle_power": "2 W", "bandwidth_power": "7 W",
            "compute_power": "10 W"}}}},
        "services": {"s": {"service_time": "250 ms", "on": "n"}},
        "workload": [{"source": "deterministic", "rate": "1 /s", "target": "s", "limit": 40}]})
    served = int((run.requests["status"] == "completed").sum())
    assert served == 40
    assert run.nodes.loc["n", "energy"] == pytest.approx(5 * 100 + 8 * 0.25 * served, rel=1e-9)


def test_policies_see_the_same_requests():
    """Common random numbers: open arrivals are equal, whatever the policy does with them."""
    scenario = random_scenario(8)
    scenario["workload"] = [{
        "source": "poisson", "rate": "20 /s", "target": "offload",
        "clients": {"on": "phone", "count": 5},
        "request": {"prompt_tokens": {"distribution": "exponential", "mean": 200},
                    "upload": {"distribution": "exponential", "mean": "50 kB"}}}]
    scenario["faults"] = []
    columns = ["identity", "client", "prompt_tokens", "output_tokens", "upload", "created"]
    one, two = (
        isthmus.run(scenario, overrides={"/offload/policy": p}).requests.set_index("request")
        .sort_index()[columns] for p in ("always-cloud", "always-local"))
    assert len(one) > 300
    assert one.equals(two)


def test_more_slots_never_wait_longer():
    def wait(slots: int) -> float:
        return isthmus.run({
            "isthmus": 1, "name": "slots", "seed": 2, "duration": "2000 s", "nodes": {"n": {}},
            "services": {"s": {"service_time": {"distribution": "exponential", "mean": "1 s"},
                               "on": "n", "slots": slots}},
            "workload": [{"source": "poisson", "rate": "1.8 /s", "target": "s"}],
        }).metrics["queue_wait.mean"]
    waits = [wait(slots) for slots in (2, 3, 4, 8)]
    assert waits == sorted(waits, reverse=True)


def test_time_that_stands_still_is_an_error():
    with pytest.raises(isthmus.Error, match="stands still"):
        isthmus.run({
            "isthmus": 1, "name": "zeno", "duration": "1 s", "nodes": {"n": {}},
            "services": {"s": {"service_time": "0 s", "on": "n"}},
            "results": {"streaming": True, "decisions": False},
            "workload": [{"source": "closed", "target": "s", "clients": {"on": "n", "count": 1}}]})
