"""python/gpu_profile.py: its shapes, its files, and where torch is installed the whole script."""

import importlib.util
import os
import pathlib
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "python" / "gpu_profile.py"

spec = importlib.util.spec_from_file_location("gpu_profile", SCRIPT)
gpu_profile = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gpu_profile)

INFO = {"device": "made-up GPU", "provenance": "fabricated for a test", "licence": "CC0-1.0"}


def isthmus(*arguments: str) -> subprocess.CompletedProcess:
    program = os.environ.get("ISTHMUS_CLI", "")
    if not os.path.exists(program):
        pytest.skip("ISTHMUS_CLI names no program; ./isthmus test sets it")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120)


def fabricated(kind: str, shapes) -> list:
    """Rows whose times are 1 us plus 1 ns per thousand elements."""
    rows = []
    for shape in shapes:
        ns = 1000 + gpu_profile.elements_of(kind, shape) / 1000
        rows.append(gpu_profile.row_of(shape, [ns * 1.1, ns, ns * 0.9], power_w=300))
    return rows


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("kind", gpu_profile.PARAMETERS)
def test_shapes_are_distinct_and_complete(kind, quick):
    shapes = gpu_profile.shapes_of(kind, quick)
    assert len(set(shapes)) == len(shapes)
    assert 1 <= len(shapes) <= (40 if quick else 4000)
    for shape in shapes:
        assert len(shape) == len(gpu_profile.PARAMETERS[kind].split())
        assert all(isinstance(v, int) and v >= 0 for v in shape)
        assert gpu_profile.elements_of(kind, shape) > 0


def test_parameters_are_those_of_the_kinds():
    header = (ROOT / "models" / "kernel_kinds.hpp").read_text()
    for kind, parameters in gpu_profile.PARAMETERS.items():
        assert f'KernelKind{{"{kind}", "{parameters}"' in header


def test_elements_by_hand():
    assert gpu_profile.elements_of("gemm", (3, 5, 2)) == 10 + 15 + 6
    assert gpu_profile.elements_of("conv", (3, 1, 1, 4, 8, 49)) == 49 * 12 + 9 * 4 * 8
    # 32 query heads, 8 for keys and values, width 128: q and out, then 101 keys and values.
    assert gpu_profile.elements_of("decode_attention", (32, 8, 128, 0, 2, 100)) == 2 * (
        2 * 32 * 128 + 2 * 8 * 128 * 101
    )


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="moe"):
        gpu_profile.shapes_of("moe")


def test_planes_are_as_square_as_positions_divide():
    assert gpu_profile.plane(49) == (7, 7)
    assert gpu_profile.plane(12) == (3, 4)
    assert gpu_profile.plane(13) == (1, 13)


def test_rows_hold_percentiles():
    row = gpu_profile.row_of((1,), [30, 10, 20, 40, 50])
    assert (row["median_ns"], row["p10_ns"], row["p90_ns"]) == (30, 14, 46)
    assert row["repeats"] == 5
    assert row["flags"] == 2  # (46 - 14) / 30 > 1/2
    assert gpu_profile.row_of((1,), [10])["flags"] == 0
    for bad in ([], [float("nan")], [1, float("inf")]):
        with pytest.raises(ValueError):
            gpu_profile.row_of((1,), bad)


def test_every_table_is_visited_when_time_runs_out():
    jobs = [("a", [(i,) for i in range(100)]), ("b", [(1,), (2,)])]
    order = list(gpu_profile.spread_out(jobs))
    assert sorted(order) == sorted([("a", (i,)) for i in range(100)] + [("b", (1,)), ("b", (2,))])
    assert {key for key, _ in order[:2]} == {"a", "b"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["out.h5", "--kinds", "gem"],
        ["out.h5", "--precisions", "fp33"],
        ["out.h5", "--repeats", "0"],
        ["out.h5", "--batch-us", "nan"],
        ["out.h5", "--power-seconds", "-1"],
        [str(SCRIPT)],
        [],
    ],
)
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        gpu_profile.parse(arguments)
    assert stopped.value.code == 2
    assert "error" in capsys.readouterr().err


def test_files_are_read_by_isthmus(tmp_path):
    pytest.importorskip("h5py")
    path = str(tmp_path / "gpu.h5")
    tables = {
        (kind, precision): ("fabricated", fabricated(kind, gpu_profile.shapes_of(kind, True)))
        for kind in gpu_profile.PARAMETERS
        for precision in gpu_profile.FORMATS[kind]
    }
    tables["norm", "fp32"] = ("empty tables are left out", [])
    gpu_profile.write_profile(path, INFO, tables)
    shown = isthmus("profile", "show", path)
    assert shown.returncode == 0, shown.stderr
    assert "made-up GPU" in shown.stdout
    for kind in gpu_profile.PARAMETERS:
        assert kind in shown.stdout
    lines = [line.split()[:3] for line in shown.stdout.splitlines()]
    assert ["gemm", "fp8", str(len(gpu_profile.shapes_of("gemm", True)))] in lines
    assert ["norm", "fp32"] not in [line[:2] for line in lines]

    # The seal is one that isthmus believes: a changed byte is noticed before HDF5 reads it.
    data = pathlib.Path(path).read_bytes()
    assert data[-16:-8] == b"isthseal"
    broken = tmp_path / "broken.h5"
    broken.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    refused = isthmus("profile", "show", str(broken))
    assert refused.returncode == 2
    assert "do not match its seal" in refused.stderr


def test_seal_depends_on_every_byte():
    data = bytes(range(200)) + b"tail"
    seal = gpu_profile.seal_of(data)
    assert len(seal) == 16
    assert seal == gpu_profile.seal_of(data)
    for i in (0, 7, 8, 199, 203):
        assert gpu_profile.seal_of(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]) != seal
    assert gpu_profile.seal_of(data + b"\0") != seal


def test_seal_of_the_shipped_profile():
    # Written by models/file_seal.cpp: the two implementations agree.
    for path in sorted((ROOT / "models" / "profiles").glob("*.h5")):
        data = path.read_bytes()
        if data[-16:-8] == b"isthseal":
            assert gpu_profile.seal_of(data[:-16]) == data[-16:], path
            assert struct.unpack("<Q", data[-8:])[0] != 0


def test_writing_refuses(tmp_path):
    pytest.importorskip("h5py")
    path = str(tmp_path / "gpu.h5")
    rows = fabricated("copy", [(1024,), (2048,)])
    with pytest.raises(ValueError, match="no kernel"):
        gpu_profile.write_profile(path, INFO, {("copy", "fp32"): ("", [])})
    with pytest.raises(ValueError, match="twice"):
        gpu_profile.write_profile(path, INFO, {("copy", "fp32"): ("", rows + rows[:1])})
    assert os.listdir(tmp_path) == []
    gpu_profile.write_profile(path, INFO, {("copy", "fp32"): ("", rows)})
    with pytest.raises(FileExistsError):
        gpu_profile.write_profile(path, INFO, {("copy", "fp32"): ("", rows)})
    assert os.listdir(tmp_path) == ["gpu.h5"]


def test_the_whole_script_on_a_cpu(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("h5py")
    path = str(tmp_path / "cpu.h5")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), path, "--device", "cpu", "--quick", "--repeats", "2",
         "--batch-us", "1", "--max-bytes", "1e5", "--budget", "60", "--precisions", "fp32"],
        capture_output=True, text=True, timeout=240,
    )
    assert done.returncode == 0, done.stderr
    shown = isthmus("profile", "show", path)
    assert shown.returncode == 0, shown.stderr
    assert "PyTorch" in shown.stdout
