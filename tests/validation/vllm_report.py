#!/usr/bin/env python3
"""Simulates logged vLLM runs request by request and prints measured against simulated latencies.

Usage: ./isthmus python tests/validation/vllm_report.py [--check] [--parts] [--overhead MICROSECONDS]

Every run of data/measured_e2e/llmservingsim_vllm_bench (below $ISTHMUS_DATA, default ../shared) whose
kernel tables are in data/kernels/llmservingsim is simulated on those tables. From its log come arrival
dates, prompt and output lengths, the limits of its configuration and the number of KV blocks; from the
workload that it replayed comes which prompts begin alike. One constant per machine is fitted, the time
of an iteration beyond its kernels, on the first 100 requests of its run; the others are held out.

``--parts`` also switches off, one at a time, what the engine models. ``--check`` fails (exit 1) when
a mean or 99th percentile of TTFT or TPOT is more than 2 % off, over the held-out requests or all.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import pathlib
import sys
import tempfile

from report_tools import data_folder, program, quantile

LIMIT = 0.02
FITTED_REQUESTS = 100

# Names of the logs' folders in the catalogue.
DEVICES = {"RTX4090": "rtx-4090", "RTXPRO6000": "rtx-pro-6000"}
MODELS = {"Llama-3.1-8B": "llama-3.1-8b", "Qwen3-32B": "qwen3-32b"}

PARTS = {
    "no prefix cache": ("prefix_caching", "false"),
    "iterations planned one after the other": ("async_scheduling", "false"),
    "only the first part of a prompt must fit": ("reserve_prompt", "false"),
}


@dataclasses.dataclass
class Timing:
    """One request, in seconds."""

    ttft: float
    tpot: float | None  # None: a single token
    latency: float


@dataclasses.dataclass
class Run:
    """A logged run and the folder in which it is simulated."""

    name: str
    measured: list[Timing]
    folder: pathlib.Path

    def simulate(self, overhead_us: float, *changes: tuple[str, str]) -> list[Timing]:
        """Timings with a constant per iteration and changed fields of the batching."""
        out = self.folder / "result"
        sets = [f"/nodes/server/units/gpu/iteration_overhead={overhead_us} us"]
        sets += [f"/services/llm/batching/{field}={value}" for field, value in changes]
        program("run", str(self.folder / "scenario.json"), "--csv", "--out", str(out),
                *(a for s in sets for a in ("--set", s)))
        timings = []
        with (out / "requests.csv").open() as file:
            for row in sorted(csv.DictReader(file), key=lambda row: int(row["request"])):
                created, first, last = (int(row[k]) / 1e9 for k in
                                        ("created_ns", "first_token_ns", "completed_ns"))
                timings.append(timing(created, first, last, int(row["output_tokens"])))
        for file in out.iterdir():
            file.unlink()
        out.rmdir()
        return timings


def timing(created: float, first: float, last: float, tokens: int) -> Timing:
    return Timing(first - created, (last - first) / (tokens - 1) if tokens > 1 else None,
                  last - created)


def json_lines(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def prepare(log: pathlib.Path, data: pathlib.Path, work: pathlib.Path) -> Run | None:
    """Writes profile, trace and scenario of a logged run; None when something of it is missing."""
    hardware, model = log.parent.name, log.name
    name = f"{hardware} {model}"
    tables = sorted((data / "kernels/llmservingsim" / hardware).glob(f"*/{model}/bf16/tp1/*.csv"))
    meta = json.loads((log / "vllm/meta.json").read_text())
    stem = pathlib.Path(meta["dataset_path"]).stem
    workload = data / f"workloads/llmservingsim_sharegpt/{stem}.blocks16.jsonl"
    if hardware not in DEVICES or model not in MODELS or not tables or not workload.exists():
        print(f"left out: {name} (no kernel tables, no workload or not in the catalogue)")
        return None

    folder = work / name.replace(" ", "-")
    folder.mkdir()
    program("profile", "import", "llmservingsim", *map(str, tables), "--model", MODELS[model],
            "--device", DEVICES[hardware], "--out", str(folder / "gpu.h5"))

    # Arrival dates are of another clock than the rest: the first request was queued at once.
    requests = json_lines(log / "vllm/requests.jsonl")
    rows = json_lines(workload)
    first = requests[0]
    measured = []
    with (folder / "trace.jsonl").open("w") as trace:
        for request, row in zip(requests, rows, strict=True):
            if (request["input_toks"], request["output_toks"]) != (row["input_toks"], row["output_toks"]):
                sys.exit(f"{log}: {request['request_id']} is not the request of {workload}")
            at = request["arrival_time"] - first["arrival_time"]
            trace.write(json.dumps({
                "timestamp": round(at * 1e3, 6),
                "input_length": request["input_toks"],
                "output_length": request["output_toks"],
                "hash_ids": row["input_block_ids"],
            }) + "\n")
            measured.append(timing(first["queued_ts"] + at, request["first_token_ts"],
                                   request["last_token_ts"], request["output_toks"]))

    config = meta["resolved_config"]
    scheduler, cache = config["scheduler_config"], meta["kv_cache"]
    scenario = {
        "isthmus": 1,
        "name": name,
        "seed": 1,
        "duration": "1 h",
        "nodes": {"server": {
            "device": DEVICES[hardware],
            # CUDA graphs replay an iteration: no launches between its kernels.
            "units": {"gpu": {"profile": "gpu.h5", "launch_overhead": "0 s"}},
        }},
        "services": {"llm": {
            "model": MODELS[model],
            "variant": "bf16",
            "on": "server",
            "batching": {
                "policy": "continuous",
                "max_batch": scheduler["max_num_seqs"],
                "max_batched_tokens": scheduler["max_num_batched_tokens"],
                "block_size": cache["block_size"],
                # vLLM keeps one block as a placeholder.
                "kv_tokens": (cache["num_gpu_blocks"] - 1) * cache["block_size"],
                "chunked_prefill": scheduler["enable_chunked_prefill"],
                "reserve_prompt": scheduler["scheduler_reserve_full_isl"],
                "prefix_caching": cache["enable_prefix_caching"],
                "async_scheduling": scheduler["async_scheduling"],
            },
        }},
        "workload": [{
            "name": "log",
            "source": "trace",
            "format": "mooncake",
            "file": "trace.jsonl",
            "tokens_per_hash": rows[0]["block_size"],
            "target": "llm",
            "clients": {"count": 1},
        }],
    }
    (folder / "scenario.json").write_text(json.dumps(scenario, indent=1))
    return Run(name, measured, folder)


STATISTICS = {
    "mean": lambda v: sum(v) / len(v),
    "P50": lambda v: quantile(v, 0.5),
    "P99": lambda v: quantile(v, 0.99),
}
METRICS = {"TTFT": ("ttft", 1, "s"), "TPOT": ("tpot", 1e3, "ms"), "latency": ("latency", 1, "s")}


def figures(timings: list[Timing]) -> dict[tuple[str, str], float]:
    """Every statistic of every metric."""
    result = {}
    for metric, (field, scale, _) in METRICS.items():
        values = [getattr(t, field) * scale for t in timings if getattr(t, field) is not None]
        for name, statistic in STATISTICS.items():
            result[metric, name] = statistic(values)
    return result


def errors(measured: list[Timing], simulated: list[Timing]) -> dict[tuple[str, str], float]:
    m, s = figures(measured), figures(simulated)
    return {key: s[key] / m[key] - 1 for key in m}


def fit(run: Run) -> float:
    """The microseconds per iteration with which the mean TPOT of the first requests comes nearest."""
    def off(overhead_us: float) -> float:
        simulated = run.simulate(overhead_us)[:FITTED_REQUESTS]
        return abs(errors(run.measured[:FITTED_REQUESTS], simulated)["TPOT", "mean"])

    best = min(range(0, 2001, 200), key=off)
    return min(range(max(0, best - 180), best + 181, 20), key=off)


def print_table(measured: list[Timing], simulated: list[Timing]) -> None:
    m, s = figures(measured), figures(simulated)
    print("| metric | statistic | measured | simulated | error |")
    print("|---|---|---|---|---|")
    for (metric, name), value in m.items():
        unit = METRICS[metric][2]
        got = s[metric, name]
        print(f"| {metric} | {name} | {value:.2f} {unit} | {got:.2f} {unit} | {(got / value - 1) * 100:+.2f} % |")


def print_parts(run: Run, overhead_us: float) -> None:
    keys = [(m, n) for m in ("TTFT", "TPOT") for n in ("mean", "P99")]
    print("\n| simulated | " + " | ".join(f"{m} {n}" for m, n in keys) + " |")
    print("|---|" + "---|" * len(keys))

    def row(label: str, *changes: tuple[str, str]) -> None:
        e = errors(run.measured, run.simulate(overhead_us, *changes))
        print(f"| {label} | " + " | ".join(f"{e[k] * 100:+.1f} %" for k in keys) + " |")

    row("everything")
    for label, (field, value) in PARTS.items():
        # The prefix cache needs whole prompts to fit.
        extra = [("prefix_caching", "false")] if field == "reserve_prompt" else []
        row(label + (", no prefix cache" if extra else ""), (field, value), *extra)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail when an error exceeds 2 %%")
    parser.add_argument("--parts", action="store_true", help="also switch parts of the engine off")
    parser.add_argument("--overhead", type=float, metavar="MICROSECONDS", help="do not fit it")
    options = parser.parse_args()

    data = data_folder()
    logs = sorted(p.parent.parent for p in
                  (data / "measured_e2e/llmservingsim_vllm_bench").glob("*/*/vllm/requests.jsonl"))
    if not logs:
        print(f"skipped: no vLLM logs below {data}; name the folder with ISTHMUS_DATA")
        return 0

    problems = []
    with tempfile.TemporaryDirectory() as work:
        runs = [r for r in (prepare(log, data, pathlib.Path(work)) for log in logs) if r]
        if not runs:
            return 0
        for run in runs:
            overhead = fit(run) if options.overhead is None else options.overhead
            print(f"{run.name}: {overhead} us per iteration beyond its kernels, "
                  + (f"fitted on the first {FITTED_REQUESTS} requests" if options.overhead is None
                     else "as given"))
            simulated = run.simulate(overhead)
            for label, first in (("all requests", 0), ("held-out requests", FITTED_REQUESTS)):
                print(f"\n{run.name}, {label} ({len(run.measured) - first})\n")
                print_table(run.measured[first:], simulated[first:])
                for key, e in errors(run.measured[first:], simulated[first:]).items():
                    if key[0] in ("TTFT", "TPOT") and key[1] != "P50" and abs(e) > LIMIT:
                        problems.append(f"{run.name}, {label}: {' '.join(key)} is {e * 100:+.2f} % off")
            if options.parts:
                print_parts(run, overhead)
    if options.check:
        for p in problems:
            print(p, file=sys.stderr)
    return 1 if options.check and problems else 0


if __name__ == "__main__":
    sys.exit(main())
