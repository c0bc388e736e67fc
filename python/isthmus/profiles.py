"""Kernel timing profiles from tables of other projects, Parquet files included.

>>> from isthmus import profiles
>>> print(profiles.import_profile("aiconfigurator", ["nccl_perf.parquet"], "a100.h5"))

On the command line: ``./isthmus python -m isthmus.profiles import aiconfigurator nccl_perf.parquet
--out a100.h5``, with the options of ``./isthmus profile import``. docs/importing_profiles.md has the
formats.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from isthmus.errors import Error, InputError

__all__ = ["import_profile", "parquet_to_csv"]

Path = str | os.PathLike[str]


def parquet_to_csv(source: Path, target: Path) -> int:
    """Writes a Parquet table as CSV with a header and returns the number of rows.

    Raises
    ------
    InputError
        When pyarrow is not installed or ``source`` is no Parquet file.
    """
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as e:
        raise InputError(
            f"{source}: Parquet files need pyarrow; install it (pip install pyarrow) or convert "
            f"the file to CSV ({e})"
        ) from None
    try:
        table = pyarrow.parquet.ParquetFile(source).read()
        pyarrow.csv.write_csv(table, target)
    except (OSError, pyarrow.ArrowException) as e:
        raise InputError(f"{source}: cannot be read as Parquet: {e}") from None
    return table.num_rows


def import_profile(
    format: str,
    files: Sequence[Path] | Path,
    out: Path,
    *,
    map: Mapping[str, str | float] | None = None,
    **options: object,
) -> str:
    """Imports tables and writes a kernel profile.

    Parameters
    ----------
    format : str
        ``vidur``, ``aiconfigurator``, ``llmservingsim``, ``splitwise``, ``ncnn`` or ``csv``.
    files : path or list of paths
        CSV files; Parquet files are converted with pyarrow.
    out : path
        Profile to write (HDF5); must not exist.
    map : dict, optional
        For ``csv``: column, or number, of every shape parameter.
    **options
        Options of ``./isthmus profile import`` with ``_`` for ``-``, e.g. ``device="A100"``,
        ``memory_bandwidth="864 GB/s"``, ``kernel_source="vllm_default"``.

    Returns
    -------
    str
        The report: what became of the rows, and the tables of the profile.

    Raises
    ------
    InputError
        With the file, line and column where something is wrong.
    """
    if isinstance(files, str | os.PathLike):
        files = [files]
    arguments = [f"--out={os.fspath(out)}"]
    arguments += [f"--{k.replace('_', '-')}={v}" for k, v in options.items() if v is not None]
    for parameter, column in (map or {}).items():
        arguments += [f"--map={parameter}={column}"]
    code, text, errors = _run([format], [os.fspath(f) for f in files], arguments, capture=True)
    if code == 2:
        raise InputError(errors.strip().removeprefix("error: "))
    if code != 0:
        raise Error(errors.strip() or f"the import ended with {code}")
    return text


def _program() -> str:
    """The command line program: $ISTHMUS_CLI, else the one that the module was built with."""
    named = os.environ.get("ISTHMUS_CLI")
    if named:
        return named
    import _isthmus

    program = pathlib.Path(_isthmus.__file__).resolve().parents[1] / "isthmus-cli"
    if not program.is_file():
        raise Error(f"{program} is missing; build it with ./isthmus build, or set ISTHMUS_CLI")
    return str(program)


def _run(
    format: Sequence[str], files: Sequence[str], options: Sequence[str], *, capture: bool
) -> tuple[int, str, str]:
    with tempfile.TemporaryDirectory(prefix="isthmus-") as folder:
        readable = []
        names = {}
        for i, file in enumerate(files):
            if not file.endswith(".parquet"):
                readable.append(file)
                continue
            # A folder of its own keeps the file's name, which goes into the provenance.
            part = pathlib.Path(folder) / str(i)
            part.mkdir()
            target = part / (pathlib.Path(file).stem + ".csv")
            parquet_to_csv(file, target)
            readable.append(str(target))
            names[str(target)] = file
        command = [_program(), "profile", "import", *options, "--", *format, *readable]
        done = subprocess.run(command, capture_output=capture, text=True, check=False)
        errors = done.stderr or ""
        for target, file in names.items():
            errors = errors.replace(target, file)
        return done.returncode, done.stdout or "", errors


def main(arguments: Sequence[str]) -> int:
    """``import`` with the options of ``./isthmus profile import``; returns the exit code."""
    if len(arguments) < 1 or arguments[0] != "import":
        print("usage: python -m isthmus.profiles import FORMAT FILE... --out PROFILE [options]")
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    plain: list[str] = []
    options: list[str] = []
    rest = iter(arguments[1:])
    for a in rest:
        if not a.startswith("-"):
            plain.append(a)
            continue
        options.append(a)
        if "=" not in a and a not in ("-h", "--help"):
            value = next(rest, None)
            if value is not None:
                options.append(value)
    try:
        code, text, errors = _run(plain[:1], plain[1:], options, capture=True)
    except Error as e:
        print(f"error: {e}", file=sys.stderr)
        return 2 if isinstance(e, InputError) else 1
    sys.stdout.write(text)
    sys.stderr.write(errors)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
