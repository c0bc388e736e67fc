#!/usr/bin/env python3
"""Compares mixtures of experts over several GPUs with measurements.

Usage: ./isthmus python tests/validation/mixture_report.py [--rows]

Three comparisons, with data below $ISTHMUS_DATA (default ../shared):

* The layer's kernels (data/kernels/aiconfigurator/h100_sxm): the table has balanced loads and loads
  drawn from a power law, of which the busiest part was timed. Does the balanced time at the busiest
  part's tokens give the other? The loads are drawn here as the benchmark draws them (AIConfigurator's
  collector: the tokens of each expert follow a power law between 1 and 0.8 times the tokens).
* Serving runs of Qwen3-235B-A22B in FP8 on four and eight H100, experts divided among all of them, under
  TensorRT-LLM (data/measured_e2e/aiconfigurator_silicon): simulated with the constants that
  silicon_report.py fitted to dense models, and nothing fitted here. No table has this mixture's
  layer: its experts are on the roofline.

* Serving runs of gpt-oss-120b on two and four B200 under TensorRT-LLM 1.2.0rc2, with attention under tensor
  parallelism or data parallelism: the catalogue's B200 on its roofline, nothing fitted. The number of GPUs
  and of the experts' parts is in the runs' names; the sample's columns multiply both where attention is
  data-parallel. Its sliding windows (128 tokens in every other layer) are not modelled. Other runs with
  data-parallel attention are of models with latent attention, or of MiniMax-M2.5, of which it is not
  clear how they were laid out (docs/validation.md).

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
import re
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


# openai/gpt-oss-120b, its config.json: 36 layers, 128 experts of 2,880, of which a token chooses 4.
GPT_OSS = {"layers": 36, "hidden": 2880, "heads": 64, "kv_heads": 8, "head_dim": 64, "ffn": 2880,
           "vocab": 201088, "experts": 128, "experts_active": 4}
# MXFP4 experts beside attention and output head in 16 bits.
GPT_OSS_FORMATS = {"weights": "fp4", "activations": "fp8", "attention": "bf16", "head": "bf16",
                   "kv": "fp8"}


def rank_runs_of(path: pathlib.Path) -> list[tuple[silicon.Run, bool, int]]:
    """Runs, whether their attention is data-parallel, and the parts of their experts."""
    runs = []
    with path.open() as file:
        for r in csv.DictReader(file):
            if (r["model_path"] != "openai/gpt-oss-120b" or r["system"] != "b200_sxm"
                    or r["backend"] != "trtllm" or not r["backend_version"].startswith("1.2.0rc2")):
                continue
            layout = re.search(r"_tp(\d+)(?:_0)?_ep(\d+)_", r["id"])
            if not layout or int(layout[1]) not in (2, 4):
                continue
            run = silicon.Run("mixture", "trtllm", True, int(layout[1]), int(r["isl"]), int(r["osl"]),
                              int(r["silicon_concurrency"]), float(r["silicon_ttft_ms"]),
                              float(r["silicon_tpot_ms"]))
            each = (run, int(r["attention_dp_size"]) > 1, int(layout[2]))
            if each not in runs:  # some are listed twice
                runs.append(each)
    return sorted(runs, key=lambda e: (e[1], e[0].parallel, e[0].prompt, e[0].output, e[0].clients))


def ranks(runs: list[tuple[silicon.Run, bool, int]], plain, rows: bool) -> None:
    framework = silicon.FRAMEWORKS["trtllm"]

    def simulate(each: tuple[silicon.Run, bool, int]) -> tuple[float, float]:
        run, data_parallel, parts = each
        s = plain(run, framework)
        s["duration"] = f"{20 * silicon.ROUNDS * (run.ttft + run.output * run.tpot) / 1e3} s"
        s["models"] = {"mixture": {"llm": GPT_OSS}}
        s["nodes"]["server"] = {"device": "nvidia-b200", "accelerators": run.parallel}
        service = s["services"]["llm"]
        service |= {"variant": GPT_OSS_FORMATS, "expert_parallel": parts,
                    "parallel": 1 if data_parallel else run.parallel,
                    "data_parallel": run.parallel if data_parallel else 1}
        service["batching"]["max_batched_tokens"] = 16384  # a whole answer must fit: prompts are not cut
        if data_parallel and parts > 1:
            service["expert_exchange"] = "all-to-all"
        with tempfile.TemporaryDirectory() as name:
            return silicon.simulate(run, framework, pathlib.Path(name), s)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        times = list(pool.map(simulate, runs))
    print("\n| attention | GPUs | runs | metric | median of errors, % | median, largest absolute error, % |")
    print("|---|---|---|---|---|---|")
    results = [(silicon.Result(e[0], True, *t), e[1]) for e, t in zip(runs, times)]
    for data_parallel in (False, True):
        for parallel in (2, 4):
            of = [r for r, d in results if d == data_parallel and r.run.parallel == parallel]
            for metric in ("TPOT", "TTFT"):
                errors = [r.error(metric) for r in of]
                sizes = [abs(e) for e in errors]
                print(f"| {'data' if data_parallel else 'tensor'}-parallel | {parallel} | {len(of)} | {metric} | "
                      f"{100 * quantile(errors, 0.5):+.1f} | {100 * quantile(sizes, 0.5):.1f}, "
                      f"{100 * max(sizes):.1f} |")
    if rows:
        for (r, data_parallel), each in zip(results, runs):
            print(f"{r.run.name} {'DP' if data_parallel else 'TP'} EP{each[2]}: TPOT {r.run.tpot:.2f} measured, "
                  f"{r.tpot:.2f} ms; TTFT {r.run.ttft:.0f} measured, {r.ttft:.0f} ms")


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
    ranks(rank_runs_of(sample), silicon.scenario, options.rows)
    wanted = [t for t in sorted(folder.glob("*.csv"))
              if t.name.startswith(("gemm", "attention", "custom_allreduce"))]
    serving(runs_of(sample), wanted, options.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
