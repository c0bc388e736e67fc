#!/usr/bin/env python3
"""Predicts measured serving runs on H100 from kernel tables and prints the distribution of errors.

Usage: ./isthmus python tests/validation/silicon_report.py [--check] [--rows] [--fit]

The runs are those of data/measured_e2e/aiconfigurator_silicon (below $ISTHMUS_DATA, default ../shared)
of Llama-3.1-8B and Qwen3-32B on H100: a number of clients, each of which sends its next request when
the last one is answered, prompts and answers of fixed length. Every run is simulated as it was
measured, on the tables of data/kernels/aiconfigurator/h100_sxm. Constants of the frameworks are fitted on
every other run: the time per iteration and per sequence in it, and the share of the quantization in
the tables (those of vLLM) that TensorRT-LLM needs.

``--check`` fails (exit 1) when a median absolute error exceeds 8 % of TPOT or 20 % of TTFT, over the
held-out runs or all. ``--rows`` prints every run. ``--fit`` fits the constants again (minutes).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import dataclasses
import json
import os
import pathlib
import sys
import tempfile

from report_tools import data_folder, program, quantile

LIMITS = {"TPOT": 0.08, "TTFT": 0.20}
DEVICE = "nvidia-h100-sxm"
MODELS = {"meta-llama/Llama-3.1-8B-Instruct": "llama-3.1-8b", "Qwen/Qwen3-32B": "qwen3-32b"}


@dataclasses.dataclass
class Framework:
    """How a serving framework is simulated."""

    version: str
    iteration_us: float  # fitted
    sequence_us: float  # fitted
    quantization: float  # fitted where there are FP8 runs
    overlap: bool  # prepares an iteration while the one before it computes
    chunked: bool  # cuts prompts that exceed the token budget


# Constants are those that --fit finds.
FRAMEWORKS = {
    "trtllm": Framework("1.0.0rc3", 2800, 60, 0.4, True, False),
    "vllm": Framework("0.12.0", 800, 50, 1, False, True),
}


@dataclasses.dataclass
class Run:
    """A measured run: the mean over its requests."""

    model: str
    framework: str
    fp8: bool
    parallel: int
    prompt: int
    output: int
    clients: int
    ttft: float  # ms
    tpot: float  # ms

    @property
    def name(self) -> str:
        return (f"{self.model} {'fp8' if self.fp8 else 'bf16'} {self.framework} TP{self.parallel} "
                f"{self.prompt}+{self.output} x{self.clients}")


def load(path: pathlib.Path) -> tuple[list[Run], dict[str, int]]:
    """The runs that can be simulated, and how many were left out for which reason."""
    runs, left_out = [], {}
    with path.open() as file:
        for row in csv.DictReader(file):
            if row["system"] != "h100_sxm" or row["model_path"] not in MODELS:
                continue
            framework = FRAMEWORKS.get(row["backend"])
            reason = ("prefill and decode on different GPUs" if row["mode"] != "agg" else
                      f"{row['backend']}: prompts go first there" if not framework else
                      "another version than the rest of its framework"
                      if row["backend_version"] != framework.version or int(row["isl"]) % 1024 else None)
            if reason:
                left_out[reason] = left_out.get(reason, 0) + 1
                continue
            runs.append(Run(MODELS[row["model_path"]], row["backend"], row["precision"] == "fp8",
                            int(row["tp_size"]), int(row["isl"]), int(row["osl"]),
                            int(row["silicon_concurrency"]), float(row["silicon_ttft_ms"]),
                            float(row["silicon_tpot_ms"])))
    runs.sort(key=lambda r: (r.model, r.framework, r.parallel, r.prompt, r.output, r.clients))
    return runs, left_out


# Requests of a run per client (AIConfigurator's benchmark runner), and the mean time from a client's
# sending to the engine.
ROUNDS = 10
FRONT_END = "5 ms"
# Of the configurations that AIConfigurator generates: tokens per iteration beyond the prompt's.
MAX_BATCH = 512
SPARE_TOKENS = 1500


def profile_name(framework: Framework) -> str:
    return f"quantization-{framework.quantization:g}.h5"


def scenario(run: Run, framework: Framework) -> dict:
    fp8 = {"weights": "fp8", "activations": "fp8", "kv": "fp8", "head": "bf16"}
    return {
        "isthmus": 1,
        "name": run.name,
        "seed": 1,
        # Far beyond the end of the run.
        "duration": f"{2 * ROUNDS * (run.ttft + run.output * run.tpot) / 1e3} s",
        "nodes": {"server": {
            "device": DEVICE,
            "accelerators": run.parallel,
            "units": {"gpu": {
                "profile": f"../{profile_name(framework)}",
                "iteration_overhead": f"{framework.iteration_us} us",
                "sequence_overhead": f"{framework.sequence_us} us",
                "overlap_overhead": framework.overlap,
            }},
        }},
        "services": {"llm": {
            "model": run.model,
            "variant": fp8 if run.fp8 else "bf16",
            "on": "server",
            "parallel": run.parallel,
            "batching": {
                "policy": "continuous",
                "max_batch": MAX_BATCH,
                "max_batched_tokens": MAX_BATCH + run.prompt + SPARE_TOKENS,
                "chunked_prefill": framework.chunked,
                "async_scheduling": framework.overlap,
            },
        }},
        "workload": [{
            "name": "clients",
            "source": "closed",
            "target": "llm",
            "clients": {"count": run.clients},
            "request": {
                "prompt_tokens": run.prompt,
                "output_tokens": run.output,
                "preprocess": {"distribution": "exponential", "mean": FRONT_END},
            },
        }],
    }


def simulate(run: Run, framework: Framework, work: pathlib.Path,
             simulated: dict | None = None) -> tuple[float, float]:
    """Mean TTFT and TPOT in ms; of another scenario, if there is one."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = pathlib.Path(name)
        (folder / "scenario.json").write_text(json.dumps(simulated or scenario(run, framework)))
        program("run", str(folder / "scenario.json"), "--csv", "--out", str(folder / "result"))
        ttft = tpot = 0.0
        wanted = ROUNDS * run.clients
        with (folder / "result/requests.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if int(row["request"]) < wanted]
        if len(rows) < wanted or any(not row["completed_ns"] for row in rows):
            sys.exit(f"{run.name}: takes more than twice as long as measured")
        for row in rows:
            sent, first, last = (int(row[k]) / 1e6
                                 for k in ("created_ns", "first_token_ns", "completed_ns"))
            ttft += first - sent
            tpot += (last - first) / (run.output - 1)
        return ttft / wanted, tpot / wanted


@dataclasses.dataclass
class Result:
    run: Run
    held_out: bool
    ttft: float
    tpot: float

    def error(self, metric: str) -> float:
        return self.ttft / self.run.ttft - 1 if metric == "TTFT" else self.tpot / self.run.tpot - 1


def simulate_all(runs: list[Run], frameworks: dict[str, Framework], tables: list[pathlib.Path],
                 work: pathlib.Path) -> list[tuple[float, float]]:
    for f in frameworks.values():
        if not (work / profile_name(f)).exists():
            program("profile", "import", "aiconfigurator", *map(str, tables), "--device", DEVICE,
                    "--quantization", str(f.quantization), "--out", str(work / profile_name(f)))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda r: simulate(r, frameworks[r.framework], work), runs))


def fit(name: str, runs: list[Run], tables: list[pathlib.Path], work: pathlib.Path) -> Framework:
    """The constants with the least mean absolute error of TPOT, one after the other."""
    best, least = FRAMEWORKS[name], float("inf")
    constants = {"iteration_us": range(800, 4001, 400), "sequence_us": range(0, 71, 10)}
    if any(r.fp8 for r in runs):
        constants["quantization"] = [q / 10 for q in range(0, 11, 2)]
    for constant, values in constants.items():
        start = best
        for value in values:
            tried = dataclasses.replace(start, **{constant: value})
            times = simulate_all(runs, {name: tried}, tables, work)
            off = sum(abs(t[1] / r.tpot - 1) for r, t in zip(runs, times)) / len(runs)
            print(f"{name}: {constant} {value}: {off * 100:.2f} %", file=sys.stderr)
            if off < least:
                best, least = tried, off
    return best


def percent(value: float, sign: bool = False) -> str:
    return f"{value * 100:+.1f}" if sign else f"{value * 100:.1f}"


def print_table(results: list[Result]) -> None:
    print("\n| runs | number | metric | median of errors | median, p90, largest absolute error, % | "
          "within 5, 10, 20, 50 % |")
    print("|---|---|---|---|---|---|")
    groups: dict[str, list[Result]] = {}
    for r in results:
        family = f"{r.run.framework}, {r.run.model}"
        for group in (family, f"{family}, TP{r.run.parallel}", f"{r.run.clients:3} clients",
                      "held out" if r.held_out else "fitted on", "~all"):
            groups.setdefault(group, []).append(r)
    for group in sorted(groups):
        for metric in LIMITS:
            errors = [r.error(metric) for r in groups[group]]
            sizes = [abs(e) for e in errors]
            within = ", ".join(f"{100 * sum(s <= w for s in sizes) / len(sizes):.0f}" for w in (0.05, 0.1, 0.2, 0.5))
            print(f"| {group.strip(' ~')} | {len(errors)} | {metric} | {percent(quantile(errors, 0.5), True)} | "
                  f"{percent(quantile(sizes, 0.5))}, {percent(quantile(sizes, 0.9))}, {percent(max(sizes))} | {within} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail when a median error is too large")
    parser.add_argument("--rows", action="store_true", help="print every run")
    parser.add_argument("--fit", action="store_true", help="fit the constants of the frameworks again")
    options = parser.parse_args()

    data = data_folder()
    sample = data / "measured_e2e/aiconfigurator_silicon/silicon_sample.csv"
    tables = sorted((data / "kernels/aiconfigurator/h100_sxm").glob("*.csv"))
    wanted = [t for t in tables if t.name.startswith(("gemm", "attention", "custom_allreduce"))]
    if not sample.exists() or not wanted:
        print(f"skipped: no measured runs or no H100 kernel tables below {data}; name the folder with ISTHMUS_DATA")
        return 0

    runs, left_out = load(sample)
    print(f"{len(runs)} runs; left out: " + "; ".join(f"{n}, {reason}" for reason, n in left_out.items()))
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        frameworks = dict(FRAMEWORKS)
        if options.fit:
            for key in frameworks:
                frameworks[key] = fit(key, [r for r in runs[::2] if r.framework == key], wanted, work)
        for key, f in frameworks.items():
            print(f"{key} {f.version}: {f.iteration_us:g} us per iteration, {f.sequence_us:g} us per sequence, "
                  f"{f.quantization:g} of the quantization"
                  + (", at the same time as the GPU" if f.overlap else ""))
        times = simulate_all(runs, frameworks, wanted, work)

    results = [Result(r, i % 2 == 1, *t) for i, (r, t) in enumerate(zip(runs, times))]
    if options.rows:
        print("\n| run | TPOT measured, predicted, ms | error | TTFT measured, predicted, ms | error |")
        print("|---|---|---|---|---|")
        for r in results:
            print(f"| {r.run.name} | {r.run.tpot:.2f}, {r.tpot:.2f} | {percent(r.error('TPOT'), True)} % | "
                  f"{r.run.ttft:.0f}, {r.ttft:.0f} | {percent(r.error('TTFT'), True)} % |")
    print_table(results)

    problems = []
    for label, part in (("all", results), ("held out", [r for r in results if r.held_out])):
        for metric, limit in LIMITS.items():
            off = quantile([abs(r.error(metric)) for r in part], 0.5)
            if off > limit:
                problems.append(f"{label}: median absolute error of {metric} is {percent(off)} %, more than {percent(limit)} %")
    if options.check:
        for p in problems:
            print(p, file=sys.stderr)
    return 1 if options.check and problems else 0


if __name__ == "__main__":
    sys.exit(main())
