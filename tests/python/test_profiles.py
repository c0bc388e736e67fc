"""Imports of timing tables: values in the file, Parquet like CSV, errors with their place."""

import pathlib
import subprocess
import sys

import h5py
import pytest
from isthmus import InputError, profiles

ROOT = pathlib.Path(__file__).resolve().parents[2]
NCCL = ROOT.parent / "shared/data/kernels/aiconfigurator/a100_sxm/nccl_2.27.3_nccl_perf"
GEMM = "device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n"


def tables(path):
    with h5py.File(path) as f:
        found = {}
        f.visititems(
            lambda name, item: found.__setitem__(name, item[()].tolist())
            if isinstance(item, h5py.Dataset)
            else None
        )
        return found, f.attrs["provenance"]


def test_report_and_values(tmp_path):
    source = tmp_path / "a.csv"
    source.write_text(GEMM + "X,gemm,a,bfloat16,16,256,64,0.5\nX,gemm,a,int4_wo,1,1,1,1\n")
    report = profiles.import_profile("aiconfigurator", source, tmp_path / "a.h5", device="mine")
    assert "2 rows read, 1 in the profile" in report
    assert "1 left out: number format int4_wo" in report
    found, provenance = tables(tmp_path / "a.h5")
    assert found["gemm/bf16/median_ns"] == [500000]
    assert found["gemm/bf16/m"] == [16]
    assert "a.csv" in str(provenance)


def test_a_table_of_ones_own(tmp_path):
    source = tmp_path / "t.csv"
    source.write_text("rows,t\n4,2\n8,3\n")
    profiles.import_profile(
        "csv", [source], tmp_path / "t.h5", kind="gemm", precision="int8", time="t:us",
        map={"m": "rows", "n": 16, "k": 32},
    )
    found, _ = tables(tmp_path / "t.h5")
    assert found["gemm/int8/median_ns"] == [2000, 3000]
    assert found["gemm/int8/k"] == [32, 32]


def test_errors_have_their_place(tmp_path):
    source = tmp_path / "a.csv"
    source.write_text(GEMM + "X,gemm,a,bfloat16,16,256,64,fast\n")
    with pytest.raises(InputError, match=r"a\.csv:2: latency must be a number, not 'fast'"):
        profiles.import_profile("aiconfigurator", source, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()
    with pytest.raises(InputError, match="did you mean"):
        profiles.import_profile("vidurr", source, tmp_path / "a.h5")


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="need pyarrow"):
        profiles.import_profile("aiconfigurator", "x.parquet", tmp_path / "a.h5")


def test_no_parquet_file(tmp_path):
    pytest.importorskip("pyarrow")
    source = tmp_path / "a.parquet"
    source.write_text(GEMM)
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read as Parquet"):
        profiles.import_profile("aiconfigurator", source, tmp_path / "a.h5")


def test_parquet_is_like_its_csv(tmp_path):
    pytest.importorskip("pyarrow")
    if not NCCL.with_name(NCCL.name + ".parquet").exists():
        pytest.skip("no shared data beside the sources")
    for kind in ("parquet", "csv"):
        profiles.import_profile("aiconfigurator", f"{NCCL}.{kind}", tmp_path / f"{kind}.h5")
    left, right = tables(tmp_path / "parquet.h5"), tables(tmp_path / "csv.h5")
    assert left == right
    assert len(left[0]["all_gather/fp16/median_ns"]) == 63


def test_errors_name_the_parquet_file(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.table({"op_name": ["gemm"], "gemm_dtype": ["bf16"], "m": [1], "n": [1], "k": [1],
                      "latency": [-1.0]})
    pyarrow.parquet.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(InputError, match=r"bad\.parquet:2: latency must be positive"):
        profiles.import_profile("aiconfigurator", tmp_path / "bad.parquet", tmp_path / "a.h5")


def test_command_line(tmp_path):
    (tmp_path / "a.csv").write_text(GEMM + "X,gemm,a,bfloat16,16,256,64,0.5\n")
    run = [sys.executable, "-m", "isthmus.profiles", "import", "aiconfigurator",
           str(tmp_path / "a.csv"), "--device", "Y", "--out", str(tmp_path / "a.h5")]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 rows read" in done.stdout
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "exists already" in done.stderr
