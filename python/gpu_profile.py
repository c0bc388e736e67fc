#!/usr/bin/env python3
"""Times kernels of PyTorch on one GPU and writes a kernel profile (docs/profile_format.md).

Needs torch, numpy and h5py, nothing of isthmus: copy this file to the machine and run

    python3 gpu_profile.py out.h5 [--device cuda:0] [--kinds gemm,norm] [--precisions fp16,fp8]

Every shape is warmed up, then timed with CUDA events around batches of launches that take about
half a millisecond. Launches of a batch are queued before the first one runs where that is
possible, so times are of the GPU, not of Python. Inputs rotate through copies that together exceed
twice the last-level cache, so operands come from memory as they do in a network of many layers;
--warm-cache keeps one copy. Weights and activations are random. Mean board power is read while a
shape repeats (nvidia-ml-py when installed, else nvidia-smi), at shapes that --power-seconds lets
run long enough for the sensor.

With --device cpu the same runs on a CPU with wall time: to try the script, not to get good figures.
"""

import argparse
import itertools
import math
import os
import statistics
import struct
import subprocess
import sys
import time

import numpy as np

FORMAT_VERSION = 2
SCRIPT_VERSION = "gpu_profile.py 1"
MASK = (1 << 64) - 1

# Parameters of the kinds, as models/kernel_kinds.hpp lists them; bytes moved are counted per
# element of the format.
PARAMETERS = {
    "gemm": "n k m",
    "batched_gemm": "count n k m",
    "conv": "kernel stride groups in_channels out_channels positions",
    "depthwise_conv": "kernel stride positions channels",
    "elementwise": "elements",
    "activation": "elements",
    "copy": "elements",
    "softmax": "columns rows",
    "norm": "columns rows",
    "embedding": "columns rows",
    "encoder_attention": "heads head_dim batch tokens",
    "prefill_attention": "heads kv_heads head_dim window batch context tokens",
    "decode_attention": "heads kv_heads head_dim window batch context",
}

DESCRIPTIONS = {
    "gemm": "C[m,n] = A[m,k] B[n,k]^T (torch.nn.functional.linear; fp8: torch._scaled_mm with "
            "scales per tensor, bf16 result; int8: torch._int_mm, int32 result)",
    "batched_gemm": "torch.bmm",
    "conv": "torch.nn.functional.conv2d, channels last, padding kernel/2, no bias",
    "depthwise_conv": "torch.nn.functional.conv2d with one filter per channel, channels last",
    "elementwise": "c = a + b into an existing tensor",
    "activation": "torch.nn.functional.silu",
    "copy": "torch.Tensor.copy_",
    "softmax": "torch.softmax of each row",
    "norm": "torch.nn.functional.layer_norm with scale and shift",
    "embedding": "torch.nn.functional.embedding from a table of 32,768 rows, random identifiers",
    "encoder_attention": "torch.nn.functional.scaled_dot_product_attention, no mask",
    "prefill_attention": "torch.nn.functional.scaled_dot_product_attention, causal, no context",
    "decode_attention": "torch.nn.functional.scaled_dot_product_attention, one query per "
                        "sequence over context + 1 keys",
}

# Formats of every kind; fp32 products run as TF32 where the device has it, which the provenance
# says.
FLOATS = ("fp32", "fp16", "bf16")
FORMATS = {kind: FLOATS for kind in PARAMETERS}
FORMATS["gemm"] = ("fp32", "fp16", "bf16", "fp8", "int8")
FORMATS["copy"] = ("fp32", "fp16", "bf16", "int8")
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "fp8": 1, "int8": 1}


# ---- shapes


def powers(first, last, factor=2):
    """first, first * factor, ... up to last, as integers."""
    values = []
    value = float(first)
    while value <= last * (1 + 1e-9):
        if not values or round(value) != values[-1]:
            values.append(round(value))
        value *= factor
    return values


def grid(*axes, quick=False):
    """All combinations; quick: at most two values of each axis, from its small end."""
    if quick:
        axes = [a if len(a) <= 2 else [a[(len(a) - 1) // 3], a[len(a) // 2]] for a in axes]
    return list(itertools.product(*axes))


def shapes_of(kind, quick=False):
    """Shapes worth measuring, as tuples in the order of PARAMETERS."""
    if kind == "gemm":
        return grid(
            [256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 28672],
            [256, 512, 1024, 2048, 3072, 4096, 8192, 14336],
            [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
             3072, 4096, 8192],
            quick=quick)
    if kind == "batched_gemm":
        return grid([8, 32, 128], powers(32, 2048), powers(32, 2048, 4), powers(16, 2048),
                    quick=quick)
    if kind == "conv":
        planes = [49, 100, 196, 400, 784, 1600, 3136, 6400, 12544, 25600]
        wide = powers(32, 512)
        return (grid([1], [1], [1], powers(32, 2048), powers(32, 2048), planes, quick=quick)
                + grid([3], [1], [1], wide, wide, planes, quick=quick)
                + grid([3], [2], [1], [3] + wide, wide, planes, quick=quick)
                + grid([1], [2], [1], [64, 256, 512, 1024], [128, 256, 512, 1024, 2048],
                       [49, 196, 784], quick=quick)
                + grid([7], [2], [1], [3], [64], [3136, 12544], quick=quick))
    if kind == "depthwise_conv":
        return grid([3, 5], [1, 2], [49, 196, 784, 3136, 12544], powers(16, 4096), quick=quick)
    if kind in ("elementwise", "activation", "copy"):
        return grid(powers(1024, 1 << 28, math.sqrt(2)), quick=quick)
    if kind in ("softmax", "norm"):
        return grid(powers(64, 16384), powers(1, 16384), quick=quick)
    if kind == "embedding":
        return grid(powers(256, 16384), powers(1, 16384), quick=quick)
    if kind == "encoder_attention":
        return grid([8, 12, 16, 32], [64, 128], [1, 2, 4, 8, 16, 32],
                    [32, 64, 128, 192, 256, 384, 512, 768, 1024, 2048], quick=quick)
    if kind == "prefill_attention":
        return [shape for heads, kv in ((8, 8), (32, 8), (32, 32))
                for shape in grid([heads], [kv], [64, 128], [0], [1, 2, 4], [0],
                                  powers(16, 8192, math.sqrt(2)), quick=quick)]
    if kind == "decode_attention":
        return [shape for heads, kv in ((8, 8), (32, 8), (32, 32))
                for shape in grid([heads], [kv], [64, 128], [0], powers(1, 128),
                                  [v - 1 for v in powers(16, 32768)], quick=quick)]
    raise ValueError(f"nothing measures kernels of kind {kind!r}")


def elements_of(kind, shape):
    """Elements of all operands and results, the larger of inputs that broadcast."""
    p = dict(zip(PARAMETERS[kind].split(), shape))
    if kind == "gemm":
        return p["m"] * p["k"] + p["n"] * p["k"] + p["m"] * p["n"]
    if kind == "batched_gemm":
        return p["count"] * (p["m"] * p["k"] + p["n"] * p["k"] + p["m"] * p["n"])
    if kind == "conv":
        return (p["positions"] * (p["stride"] ** 2 * p["in_channels"] + p["out_channels"])
                + p["kernel"] ** 2 * p["in_channels"] // p["groups"] * p["out_channels"])
    if kind == "depthwise_conv":
        return p["positions"] * p["channels"] * (1 + p["stride"] ** 2)
    if kind == "elementwise":
        return 3 * p["elements"]
    if kind in ("activation", "copy"):
        return 2 * p["elements"]
    if kind in ("softmax", "norm", "embedding"):
        return 2 * p["columns"] * p["rows"]
    width = p["heads"] * p["head_dim"] * p["batch"]
    if kind == "encoder_attention":
        return 4 * width * p["tokens"]
    kv_width = p["kv_heads"] * p["head_dim"] * p["batch"]
    tokens = p.get("tokens", 1)
    return 2 * width * tokens + 2 * kv_width * (p["context"] + tokens)


def plane(positions):
    """Height and width of a plane of so many positions, as square as they divide."""
    height = math.isqrt(positions)
    while positions % height:
        height -= 1
    return height, positions // height


# ---- timings to rows


def percentile(ordered, share):
    """Linear between neighbours, as isthmus computes it."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def row_of(shape, times_ns, power_w=0.0):
    """One row of a table from repeated times of single executions."""
    ordered = sorted(max(float(t), 1e-3) for t in times_ns)
    if not ordered or not all(math.isfinite(t) for t in ordered):
        raise ValueError(f"shape {shape}: times must be finite and at least one")
    median, p10, p90 = (percentile(ordered, q) for q in (0.5, 0.1, 0.9))
    return {"shape": tuple(shape), "median_ns": median, "p10_ns": p10, "p90_ns": p90,
            "repeats": len(ordered), "flags": 2 if p90 - p10 > 0.5 * median else 0,
            "power_w": float(power_w)}


# ---- file


def mix64(z):
    """SplitMix64's finalizer."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def seal_of(data):
    """The 16 bytes behind a file: a mark and a hash of all before it (models/file_seal.cpp)."""
    state = mix64(len(data))
    padded = data + b"\0" * (-len(data) % 8)
    for (word,) in struct.iter_unpack("<Q", padded):
        state = ((state ^ word) * 0x9E3779B97F4A7C15) & MASK
        state ^= state >> 32
    return b"isthseal" + struct.pack("<Q", mix64(state))


def write_profile(path, info, tables):
    """Writes tables {(kind, precision): (description, rows)}; refuses to overwrite a file.

    `info` holds device, provenance and licence; rows are those of row_of().
    """
    import h5py

    tables = {key: value for key, value in tables.items() if value[1]}
    if not tables:
        raise ValueError("no kernel was measured: nothing to write")
    text = h5py.string_dtype("utf-8")
    part = path + ".part"
    try:
        with h5py.File(part, "w", libver=("v110", "v110")) as file:
            file.attrs.create("filetype", "isthmus kernel profile", dtype=text)
            file.attrs.create("version", FORMAT_VERSION, dtype=np.int64)
            file.attrs.create("program_version", SCRIPT_VERSION, dtype=text)
            for key in ("device", "provenance", "licence"):
                file.attrs.create(key, info[key], dtype=text)
            for (kind, precision), (description, rows) in sorted(tables.items()):
                write_table(file.require_group(kind).create_group(precision), kind, description,
                            rows, text)
        with open(part, "rb") as file:
            seal = seal_of(file.read())
        with open(part, "ab") as file:
            file.write(seal)
        os.link(part, path)  # fails when the file exists, unlike a rename
    finally:
        if os.path.exists(part):
            os.unlink(part)


def write_table(group, kind, description, rows, text):
    names = PARAMETERS[kind].split()
    if len({row["shape"] for row in rows}) != len(rows):
        raise ValueError(f"{kind}: a shape occurs twice")
    group.attrs.create("parameters", names, dtype=text)
    group.attrs.create("description", description, dtype=text)

    def column(name, values, dtype, units, meaning):
        values = np.asarray(values, dtype)
        dataset = group.create_dataset(name, data=values, chunks=values.shape, shuffle=True,
                                       compression="gzip", fletcher32=True)
        dataset.attrs.create("units", units, dtype=text)
        dataset.attrs.create("description", meaning, dtype=text)

    for i, name in enumerate(names):
        column(name, [row["shape"][i] for row in rows], np.float64, "1", "shape parameter")
    column("median_ns", [r["median_ns"] for r in rows], np.float64, "ns",
           "median time of one execution")
    column("p10_ns", [r["p10_ns"] for r in rows], np.float64, "ns", "10th percentile of the time")
    column("p90_ns", [r["p90_ns"] for r in rows], np.float64, "ns", "90th percentile of the time")
    column("repeats", [r["repeats"] for r in rows], np.uint64, "1", "timed repetitions")
    column("flags", [r["flags"] for r in rows], np.uint64, "1",
           "remarks: 1 cached, 2 noisy, 4 no percentiles")
    if any(r["power_w"] > 0 for r in rows):
        column("power_w", [r["power_w"] for r in rows], np.float64, "W",
               "mean board power, 0 = unknown")


# ---- kernels


class Unsupported(Exception):
    """The device or this PyTorch has no such kernel."""


class Kernels:
    """Makes functions that launch one kernel of a kind, format and shape once."""

    def __init__(self, device):
        import torch
        self.torch = torch
        self.device = device
        self.dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16,
                       "int8": torch.int8}

    def random(self, precision, *size):
        torch = self.torch
        if precision == "int8":
            return torch.randint(-8, 8, size, dtype=torch.int8, device=self.device)
        return torch.randn(*size, device=self.device).to(self.dtypes[precision])

    def make(self, kind, precision, shape):
        """A function that launches the kernel once on operands of its own."""
        p = dict(zip(PARAMETERS[kind].split(), shape))
        return getattr(self, kind)(precision, **p)

    def gemm(self, precision, n, k, m):
        torch = self.torch
        if precision == "int8":
            # cuBLAS wants more than 16 rows and multiples of 8.
            if not hasattr(torch, "_int_mm") or m <= 16 or n % 8 or k % 8:
                raise Unsupported("torch._int_mm")
            a, b = self.random("int8", m, k), self.random("int8", n, k).t()
            return lambda: torch._int_mm(a, b)
        if precision == "fp8":
            if not hasattr(torch, "_scaled_mm") or not hasattr(torch, "float8_e4m3fn"):
                raise Unsupported("torch._scaled_mm")
            fp8 = torch.float8_e4m3fn
            a = torch.randn(m, k, device=self.device).to(fp8)
            b = torch.randn(n, k, device=self.device).to(fp8).t()
            one = torch.ones((), device=self.device)
            return lambda: torch._scaled_mm(a, b, scale_a=one, scale_b=one,
                                            out_dtype=torch.bfloat16)
        a, b = self.random(precision, m, k), self.random(precision, n, k)
        return lambda: torch.nn.functional.linear(a, b)

    def batched_gemm(self, precision, count, n, k, m):
        a, b = self.random(precision, count, m, k), self.random(precision, count, k, n)
        c = self.random(precision, count, m, n)
        return lambda: self.torch.bmm(a, b, out=c)

    def conv(self, precision, kernel, stride, groups, in_channels, out_channels, positions):
        torch = self.torch
        height, width = plane(positions)
        x = self.random(precision, 1, in_channels, height * stride, width * stride)
        w = self.random(precision, out_channels, in_channels // groups, kernel, kernel)
        x, w = (t.to(memory_format=torch.channels_last) for t in (x, w))
        return lambda: torch.nn.functional.conv2d(x, w, None, stride, kernel // 2, 1, groups)

    def depthwise_conv(self, precision, kernel, stride, positions, channels):
        return self.conv(precision, kernel, stride, channels, channels, channels, positions)

    def elementwise(self, precision, elements):
        a, b, c = (self.random(precision, elements) for _ in range(3))
        return lambda: self.torch.add(a, b, out=c)

    def activation(self, precision, elements):
        a = self.random(precision, elements)
        return lambda: self.torch.nn.functional.silu(a)

    def copy(self, precision, elements):
        a, b = self.random(precision, elements), self.random(precision, elements)
        return lambda: b.copy_(a)

    def softmax(self, precision, columns, rows):
        x = self.random(precision, rows, columns)
        return lambda: self.torch.softmax(x, -1)

    def norm(self, precision, columns, rows):
        x = self.random(precision, rows, columns)
        scale, shift = self.random(precision, columns), self.random(precision, columns)
        return lambda: self.torch.nn.functional.layer_norm(x, (columns,), scale, shift)

    def embedding(self, precision, columns, rows):
        table = self.random(precision, 32768, columns)
        ids = self.torch.randint(0, 32768, (rows,), device=self.device)
        return lambda: self.torch.nn.functional.embedding(ids, table)

    def attention(self, precision, heads, kv_heads, head_dim, batch, queries, keys, causal):
        torch = self.torch
        function = getattr(torch.nn.functional, "scaled_dot_product_attention", None)
        if function is None:
            raise Unsupported("scaled_dot_product_attention")
        q = self.random(precision, batch, heads, queries, head_dim)
        k = self.random(precision, batch, kv_heads, keys, head_dim)
        v = self.random(precision, batch, kv_heads, keys, head_dim)
        if heads == kv_heads:
            return lambda: function(q, k, v, is_causal=causal)
        if queries == 1:
            # Queries that share keys are rows of one product: no key is read twice.
            q = q.view(batch, kv_heads, heads // kv_heads, head_dim)
            return lambda: function(q, k, v)
        if "enable_gqa" in (function.__doc__ or ""):
            return lambda: function(q, k, v, is_causal=causal, enable_gqa=True)
        k, v = (t.repeat_interleave(heads // kv_heads, 1) for t in (k, v))
        return lambda: function(q, k, v, is_causal=causal)

    def encoder_attention(self, precision, heads, head_dim, batch, tokens):
        return self.attention(precision, heads, heads, head_dim, batch, tokens, tokens, False)

    def prefill_attention(self, precision, heads, kv_heads, head_dim, window, batch, context,
                          tokens):
        assert window == 0 and context == 0  # what shapes_of() gives
        return self.attention(precision, heads, kv_heads, head_dim, batch, tokens, tokens, True)

    def decode_attention(self, precision, heads, kv_heads, head_dim, window, batch, context):
        assert window == 0
        return self.attention(precision, heads, kv_heads, head_dim, batch, 1, context + 1, False)


# ---- timing


class CpuTimer:
    def times(self, launches, loop, repeats):
        """Times of single executions, ns; launches are called in turn."""
        turn = itertools.cycle(launches)
        found = []
        for _ in range(repeats):
            start = time.perf_counter_ns()
            for _ in range(loop):
                next(turn)()
            found.append((time.perf_counter_ns() - start) / loop)
        return found

    def synchronize(self):
        pass


class GpuTimer:
    """CUDA events. A busy-wait kernel holds the stream while a batch is queued behind it."""

    def __init__(self, torch, device):
        self.torch = torch
        self.device = device

    def times(self, launches, loop, repeats):
        torch = self.torch
        turn = itertools.cycle(launches)
        found = []
        for _ in range(repeats):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            if hasattr(torch.cuda, "_sleep"):
                torch.cuda._sleep(20000 * loop)  # clock cycles, about 10 us per launch
            start.record()
            for _ in range(loop):
                next(turn)()
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end) * 1e6 / loop)
        return found

    def synchronize(self):
        self.torch.cuda.synchronize(self.device)


class Power:
    """Board power in W, 0 where it cannot be read."""

    def __init__(self, index):
        self.index = index
        self.handle = None
        try:
            import pynvml
            pynvml.nvmlInit()
            self.handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            self.nvml = pynvml
        except Exception:
            pass  # not installed or no driver: nvidia-smi may still answer

    def now(self):
        if self.handle is not None:
            return self.nvml.nvmlDeviceGetPowerUsage(self.handle) / 1000
        return first_number(query_smi(self.index, "power.draw"))


def query_smi(index, fields):
    """nvidia-smi's answer for some fields, or ''."""
    try:
        return subprocess.run(
            ["nvidia-smi", "-i", str(index), f"--query-gpu={fields}", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def first_number(text):
    try:
        return float(text.split()[0])
    except (IndexError, ValueError):
        return 0.0


def measure_shape(make, timer, options, copies, power):
    """One row's times and power. `make` gives launches on fresh operands."""
    launches = [make() for _ in range(copies)]
    for launch in launches:
        launch()  # warm-up: chooses algorithms, fills allocators
    timer.synchronize()
    once = statistics.median(timer.times(launches, 1, 3))
    loop = max(1, min(100, int(options.batch_us * 1e3 / max(once, 1))))
    timer.times(launches, loop, 2)
    times = timer.times(launches, loop, options.repeats)
    watts = 0.0
    if power is not None and options.power_seconds > 0:
        readings = []
        until = time.monotonic() + options.power_seconds
        while time.monotonic() < until:
            timer.times(launches, loop, 4)
            readings.append(power.now())
        later = [w for w in readings[len(readings) // 2:] if w > 0]  # the sensor lags
        watts = statistics.mean(later) if later else 0.0
    return times, watts


def describe(torch, device, options):
    """Device name and provenance."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        name = properties.name
        fields = ("driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.applications.graphics,"
                  "power.limit,temperature.gpu,mig.mode.current,ecc.mode.current")
        state = (f"{properties.multi_processor_count} SMs, {properties.total_memory / 2**30:.0f} "
                 f"GiB, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}; "
                 f"nvidia-smi {fields}: {query_smi(device.index or 0, fields) or 'unknown'}; "
                 f"fp32 products {'TF32' if options.tf32 else 'without TF32'}; CUDA events")
    else:
        name, state = "CPU", f"{torch.get_num_threads()} threads, wall time"
    caches = ("operands stay in caches" if options.warm_cache or device.type != "cuda"
              else "operands rotate through more memory than the last cache holds")
    return name, (f"measured by {SCRIPT_VERSION}: {name}, {state}; PyTorch {torch.__version__}, "
                  f"warmed up, {caches}, median of {options.repeats} batches")


def cache_bytes(torch, device):
    if device.type != "cuda":
        return 0  # trying the script needs no cold caches
    return getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 64 << 20)


def parse_list(text, known, what):
    names = [n for n in (text or "").split(",") if n]
    for name in names:
        if name not in known:
            raise ValueError(f"no {what} is called {name!r}; there are: {', '.join(known)}")
    return names or list(known)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("file", help="profile to write (HDF5); must not exist")
    parser.add_argument("--device", default="cuda:0", help="cuda:N or cpu")
    parser.add_argument("--name", help="name of the device in the profile")
    parser.add_argument("--licence", default="CC0-1.0", help="SPDX identifier of the data")
    parser.add_argument("--kinds", help="comma-separated; default: all")
    parser.add_argument("--precisions", help="comma-separated; default: all")
    parser.add_argument("--quick", action="store_true", help="few shapes")
    parser.add_argument("--repeats", type=int, default=15, help="timed batches per shape")
    parser.add_argument("--batch-us", type=float, default=500, help="length of a batch, us")
    parser.add_argument("--warm-cache", action="store_true", help="one copy of the operands")
    parser.add_argument("--no-tf32", dest="tf32", action="store_false", help="plain fp32 products")
    parser.add_argument("--max-bytes", type=float, default=4e9, help="skip larger operands")
    parser.add_argument("--power-seconds", type=float, default=0,
                        help="repeat every shape that long to read its power; 0 = do not")
    parser.add_argument("--budget", type=float, default=math.inf,
                        help="stop after so many seconds and write what is there")
    o = parser.parse_args(arguments)
    try:
        o.kinds = parse_list(o.kinds, list(PARAMETERS), "kernel")
        o.precisions = parse_list(o.precisions, list(BYTES), "number format")
    except ValueError as e:
        parser.error(str(e))
    for name in ("repeats", "batch_us", "max_bytes", "budget"):
        if not getattr(o, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be positive")
    if not 0 <= o.power_seconds <= 60:
        parser.error("--power-seconds must be 0 to 60")
    if os.path.exists(o.file):
        parser.error(f"{o.file}: exists already; name a new file")
    return o


def spread_out(jobs):
    """Jobs of all tables in turn, so that a budget that ends early leaves no table empty."""
    queues = [list(shapes) for _, shapes in jobs]
    keys = [key for key, _ in jobs]
    # Shapes in an order that visits the whole grid coarsely first.
    order = [sorted(range(len(q)), key=lambda i: int(f"{i:032b}"[::-1], 2)) for q in queues]
    for turn in range(max(map(len, queues), default=0)):
        for key, queue, o in zip(keys, queues, order):
            if turn < len(queue):
                yield key, queue[o[turn]]


def measure(torch, o):
    device = torch.device(o.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = o.tf32
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # as inference programs with fixed shapes do
    timer = GpuTimer(torch, device) if device.type == "cuda" else CpuTimer()
    power = Power(device.index or 0) if device.type == "cuda" and o.power_seconds > 0 else None
    kernels, cache = Kernels(device), cache_bytes(torch, device)

    jobs = []
    for kind in o.kinds:
        shapes = shapes_of(kind, o.quick)
        for precision in FORMATS[kind]:
            if precision in o.precisions:
                limit = o.max_bytes / BYTES[precision]
                jobs.append(((kind, precision),
                             [s for s in shapes if elements_of(kind, s) <= limit]))
    total = sum(len(shapes) for _, shapes in jobs)
    rows = {key: [] for key, _ in jobs}
    left_out = {}
    start = time.monotonic()
    for done, ((kind, precision), shape) in enumerate(spread_out(jobs), 1):
        if time.monotonic() - start > o.budget:
            left_out["time ran out"] = total - done + 1
            break
        size = elements_of(kind, shape) * BYTES[precision]
        copies = 1 if o.warm_cache else max(1, min(32, math.ceil(2 * cache / max(size, 1))))
        try:
            with torch.inference_mode():
                times, watts = measure_shape(lambda: kernels.make(kind, precision, shape), timer,
                                             o, copies, power)
        except (Unsupported, RuntimeError, TypeError) as e:  # TypeError: another signature
            reason = f"{kind} {precision}: {str(e).splitlines()[0][:80]}"
            left_out[reason] = left_out.get(reason, 0) + 1
            if device.type == "cuda" and isinstance(e, torch.cuda.OutOfMemoryError):
                torch.cuda.empty_cache()
            continue
        rows[kind, precision].append(row_of(shape, times, watts))
        if sys.stderr.isatty():
            print(f"\r{done}/{total} shapes", end="\n" if done == total else "", file=sys.stderr)
    name, provenance = describe(torch, device, o)
    if left_out:
        provenance += "; left out: " + "; ".join(f"{n} shapes, {why}"
                                                 for why, n in sorted(left_out.items()))
    info = {"device": o.name or name, "provenance": provenance, "licence": o.licence}
    return info, {(kind, precision): (DESCRIPTIONS[kind], found)
                  for (kind, precision), found in rows.items()}


def main(arguments=None):
    o = parse(arguments)
    import torch
    if o.device.startswith("cuda") and not torch.cuda.is_available():
        print("gpu_profile.py: PyTorch sees no CUDA device; --device cpu tries the script without "
              "one", file=sys.stderr)
        return 2
    info, tables = measure(torch, o)
    write_profile(o.file, info, tables)
    for (kind, precision), (_, found) in sorted(tables.items()):
        print(f"{kind:18} {precision:5} {len(found):6} shapes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
