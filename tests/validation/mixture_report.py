#!/usr/bin/env python3
"""Compares mixtures of experts over several GPUs with measurements.

Usage: ./isthmus python tests/validation/mixture_report.py [--rows]

Two comparisons, with data below $ISTHMUS_DATA (default ../shared):

* The layer's kernels (data/kernels/aiconfigurator/h100_sxm): the table has balanced loads and loads
  drawn from a power law, of which the busiest part was timed. Does the balanced time at the busiest
  part's tokens give the other? The loads are drawn here as the benchmark draws them (AIConfigurator's
  collector: the tokens of each expert follow a power law between 1 and 0.8 times the tokens).
* Serving runs of Qwen3-235B-A22B in FP8 on four and eight H100, experts divided among all of them, under
  TensorRT-LLM (data/measured_e2e/aiconfigurator_silicon): simulated with the constants that
  silicon_report.py fitted to dense models, and nothing fitted here. No table has this mixture's
  layer: its experts are on the roofline.

There are no measured runs with pipeline stages in the data.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import csv
import os
import pathlib
import random
import sys
import tempfile

import silicon_report as silicon
from report_tools import data_folder, program, quantile

MODEL = "Qwen/Qwen3-235B-A22B-FP8"
# Its config.json: 94 layers, 128 experts of 1,536, of which a token chooses 8.
SHAPE = {"layers": 94, "hidden": 4096, "heads": 64, "kv_heads": 4, "head_dim": 128, "ffn": 1536,
         "vocab": 151936, "experts": 128, "experts_active": 8}


def busiest(tokens: int, experts: int, active: int, parts: int, exponent: float) -> float:
    """Expected load of the busiest part over the mean, as the kernel benchmark draws loads."""
    draw = random.Random(1)
    low, high = (1, 0.8 * tokens) if tokens * active > experts else (0.01, 2)
    a, b, each, total = low ** (1 - exponent), high ** (1 - exponent), experts // parts, 0.0
    rounds = 400
    for _ in range(rounds):
        loads = [((b - a) * draw.random() + a) ** (1 / (1 - exponent)) for _ in range(experts)]
        scale = tokens * active / sum(loads)
        loads = [min(scale * x, tokens) for x in loads]  # a token chooses an expert once
        total += max(sum(loads[i:i + each]) for i in range(0, experts, each)) * parts
    return total / rounds / (tokens * active)


def at(curve: dict[int, float], tokens: float) -> float:
    """Linear interpolation; the last slope goes on."""
    known = sorted(curve)
    i = next((i for i, k in enumerate(known[1:-1], 1) if k >= tokens), len(known) - 1)
    x0, x1 = known[i - 1], known[i]
    return curve[x0] + (curve[x1] - curve[x0]) * (tokens - x0) / (x1 - x0)


def kernels(path: pathlib.Path) -> None:
    curves: dict[tuple, dict[int, float]] = collections.defaultdict(dict)
    with path.open() as file:
        for r in csv.DictReader(file):
            if r["moe_tp_size"] == "1":
                shape = tuple(int(r[k]) for k in ("hidden_size", "inter_size", "num_experts", "topk"))
                key = (shape, r["moe_dtype"], int(r["moe_ep_size"]), r["distribution"])
                curves[key][int(r["num_tokens"])] = float(r["latency"])
    print("\n| mixture | format | parts | exponent | busiest part, 4,096 tokens | error with it, median "
          "(median, p90 absolute), % | without |")
    print("|---|---|---|---|---|---|---|")
    everything: dict[str, list[float]] = collections.defaultdict(list)
    for (shape, dtype, parts, law), measured in sorted(curves.items()):
        if parts == 1 or not law.startswith("power_law_"):
            continue
        balanced = curves[shape, dtype, parts, "balanced"]
        exponent = float(law.removeprefix("power_law_"))
        factors = {n: busiest(n, shape[2], shape[3], parts, exponent) for n in measured}
        # Few tokens: which experts are read at all matters more than how many tokens they get.
        tokens = [n for n in measured if n * shape[3] >= 8 * shape[2]]
        with_it = [at(balanced, n * factors[n]) / measured[n] - 1 for n in tokens]
        without = [balanced[n] / measured[n] - 1 for n in tokens]
        everything["with"] += with_it
        everything["without"] += without
        sizes = [abs(e) for e in with_it]
        print(f"| {shape[2]} x {shape[1]}, {shape[3]} active | {dtype} | {parts} | {exponent} | "
              f"{at(factors, 4096):.2f} | {100 * quantile(with_it, 0.5):+.1f} "
              f"({100 * quantile(sizes, 0.5):.1f}, {100 * quantile(sizes, 0.9):.1f}) | "
              f"{100 * quantile(without, 0.5):+.1f} |")
    for name, errors in everything.items():
        print(f"all, {name} the busiest part's load: median absolute error "
              f"{100 * quantile([abs(e) for e in errors], 0.5):.1f} % over {len(errors)} kernels")


def runs_of(path: pathlib.Path) -> list[silicon.Run]:
    runs = []
    with path.open() as file:
        for r in csv.DictReader(file):
            if (r["model_path"] == MODEL and r["system"] == "h100_sxm" and r["mode"] == "agg"
                    and r["backend_version"] == silicon.FRAMEWORKS["trtllm"].version
                    and r["moe_ep_size"] == r["tp_size"]):
                runs.append(silicon.Run("mixture", "trtllm", True, int(r["tp_size"]), int(r["isl"]),
                                        int(r["osl"]), int(r["silicon_concurrency"]),
                                        float(r["silicon_ttft_ms"]), float(r["silicon_tpot_ms"])))
    return sorted(runs, key=lambda r: (r.parallel, r.prompt, r.output, r.clients))


def serving(runs: list[silicon.Run], tables: list[pathlib.Path], rows: bool) -> None:
    framework = silicon.FRAMEWORKS["trtllm"]
    plain = silicon.scenario

    def mixture(run: silicon.Run, framework: silicon.Framework) -> dict:
        s = plain(run, framework)
        s["models"] = {"mixture": {"llm": SHAPE}}
        s["services"]["llm"]["expert_parallel"] = run.parallel
        return s

    silicon.scenario = mixture
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        program("profile", "import", "aiconfigurator", *map(str, tables), "--device", silicon.DEVICE,
                "--quantization", str(framework.quantization), "--out",
                str(work / silicon.profile_name(framework)))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            times = list(pool.map(lambda r: silicon.simulate(r, framework, work), runs))
    results = [silicon.Result(r, True, *t) for r, t in zip(runs, times)]
    print("\n| GPUs | runs | metric | median of errors, % | median, p90, largest absolute error, % |")
    print("|---|---|---|---|---|")
    for parallel in sorted({r.parallel for r in runs}):
        for metric in ("TPOT", "TTFT"):
            errors = [r.error(metric) for r in results if r.run.parallel == parallel]
            sizes = [abs(e) for e in errors]
            print(f"| {parallel} | {len(errors)} | {metric} | {100 * quantile(errors, 0.5):+.1f} | "
                  f"{100 * quantile(sizes, 0.5):.1f}, {100 * quantile(sizes, 0.9):.1f}, "
                  f"{100 * max(sizes):.1f} |")
    if rows:
        for r in results:
            print(f"{r.run.name}: TPOT {r.run.tpot:.2f} measured, {r.tpot:.2f} ms; "
                  f"TTFT {r.run.ttft:.0f} measured, {r.ttft:.0f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", action="store_true", help="print every run")
    options = parser.parse_args()
    folder = data_folder() / "kernels/aiconfigurator/h100_sxm"
    table = folder / "moe_vllm_0.14.0.mixtral_dsv3_qwen3moe.csv"
    sample = data_folder() / "measured_e2e/aiconfigurator_silicon/silicon_sample.csv"
    if not table.exists() or not sample.exists():
        print(f"skipped: no measurements below {data_folder()}; name the folder with ISTHMUS_DATA")
        return 0
    kernels(table)
    wanted = [t for t in sorted(folder.glob("*.csv"))
              if t.name.startswith(("gemm", "attention", "custom_allreduce"))]
    serving(runs_of(sample), wanted, options.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
