"""The include rule and the other rules of the source tree that a program can check.

A folder includes only folders to its left::

    sim/core <- models <- schedulers <- {devices, network, results} <- sim/world
             <- scenarios <- python

and siblings in braces never include each other. Foreign libraries stay in their one place.
Run it directly (``python3 tests/layering/test_layering.py``) or through ctest; files beyond 600
lines are reported, everything else fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_SCHEDULERS = {"sim/core", "models", "schedulers"}
_WORLD = _SCHEDULERS | {"devices", "network", "results", "sim/world"}
#: What a folder may include, itself included.
ALLOWED = {
    "sim/core": {"sim/core"},
    "models": {"sim/core", "models"},
    "schedulers": _SCHEDULERS,
    "devices": _SCHEDULERS | {"devices"},
    "network": _SCHEDULERS | {"network"},
    "results": _SCHEDULERS | {"results"},
    "sim/world": _WORLD,
    "scenarios": _WORLD | {"scenarios"},
    "python": _WORLD | {"scenarios", "python"},
}

#: Headers of a foreign library, and the files that may include them.
FOREIGN = [
    ("SimGrid", re.compile(r"^(simgrid|xbt)(/|\.h)"), re.compile(r"^network/")),
    (
        "HDF5",
        re.compile(r"^(hdf5|H5[A-Za-z]*)\.(h|hpp)$|^(highfive|hdf5)/"),
        re.compile(r"^models/hdf5(\.|_(internal|object)\.)"),
    ),
    ("pybind11", re.compile(r"^pybind11/|^Python\.h$"), re.compile(r"^python/")),
]

CPP_SUFFIXES = {".cpp", ".hpp", ".h", ".cc", ".cxx", ".hxx", ".ipp"}
TEXT_SUFFIXES = CPP_SUFFIXES | {".py", ".pyi", ".cmake", ".md", ".toml", ".txt", ".sh"}
LINE_LIMIT = 600

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
# Spelled in parts, so that this file passes its own rules.
_MARK = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
_MACHINE_PATH = re.compile(
    r"(?<![\w.])/(" + "|".join(("wor" + "k", "ro" + "ot", "hom" + "e")) + r")/[\w.-]+"
)


class Problem(NamedTuple):
    """One broken rule."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def layer_of(path: str) -> str | None:
    """The layer that a file or an include path belongs to, or None."""
    for layer in ALLOWED:
        if path.startswith(layer + "/"):
            return layer
    return None


def without_comments(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Numbered lines of C++ with comments blanked, so that a commented include does not count."""
    inside = False
    for number, line in enumerate(lines, 1):
        out = ""
        while line:
            if inside:
                _, found, line = line.partition("*/")
                inside = not found
            else:
                start = re.search(r"/\*|//", line)
                if not start:
                    out, line = out + line, ""
                elif start.group() == "//":
                    out, line = out + line[: start.start()], ""
                else:
                    out, line, inside = out + line[: start.start()] + " ", line[start.end() :], True
        yield number, out


def check_includes(root: Path, path: str) -> list[Problem]:
    """Problems with the includes of one C++ file, `path` relative to `root`."""
    layer = layer_of(path)
    problems = []
    lines = (root / path).read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in without_comments(lines):
        match = _INCLUDE.match(line)
        if not match:
            continue
        bracket, name = match.groups()
        for library, header, permitted in FOREIGN:
            if header.search(name) and layer is not None and not permitted.search(path):
                message = f"{library} header <{name}> outside its place"
                problems.append(Problem(path, number, message))
        target = layer_of(name)
        if bracket == "<":
            if target is not None and (root / name).exists():
                problems.append(Problem(path, number, f'own header <{name}>: write "{name}"'))
            if target is None or not (root / name).exists():
                continue
        if layer is None:  # tests include what they test
            continue
        if target is None or ".." in name.split("/"):
            problems.append(Problem(path, number, f'"{name}" is not written from the root'))
        elif target not in ALLOWED[layer]:
            problems.append(Problem(path, number, f'{layer} must not include "{name}" ({target})'))
        elif not (root / name).exists():
            problems.append(Problem(path, number, f'"{name}" does not exist'))
    return problems


def check_text(root: Path, path: str) -> list[Problem]:
    """Unfinished marks and paths of one machine in a text file."""
    problems = []
    lines = (root / path).read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        if mark := _MARK.search(line):
            problems.append(Problem(path, number, f"unfinished: {mark.group()}"))
        if place := _MACHINE_PATH.search(line):
            problems.append(Problem(path, number, f"path of one machine: {place.group()}"))
    return problems


def source_files(root: Path) -> list[str]:
    """Every file of the tree that git does not ignore; all files where there is no git."""
    if (root / ".git").exists():
        out = subprocess.run(
            [
                "git",
                "-c",
                f"safe.directory={root}",
                "-C",
                str(root),
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ],
            check=True,
            capture_output=True,
        ).stdout.decode()
        names = [n for n in out.split("\0") if n]
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*")]
    output = ("build/", "runs/")
    return sorted({n for n in names if (root / n).is_file() and not n.startswith(output)})


def check_tree(root: Path) -> tuple[list[Problem], list[str], int]:
    """All problems below `root`, the report on long files, and the number of C++ files read."""
    problems: list[Problem] = []
    long_files = []
    cpp_files = 0
    for path in source_files(root):
        suffix = Path(path).suffix
        if suffix in CPP_SUFFIXES:
            cpp_files += layer_of(path) is not None
            problems += check_includes(root, path)
        if suffix in TEXT_SUFFIXES or path in ("isthmus", ".ci/run"):
            problems += check_text(root, path)
        if suffix in CPP_SUFFIXES | {".py"}:
            count = len((root / path).read_bytes().splitlines())
            if count > LINE_LIMIT:
                long_files.append(f"{path}: {count} lines (more than {LINE_LIMIT})")
    return problems, long_files, cpp_files


class Tree(unittest.TestCase):
    """This source tree keeps the rules."""

    def test_rules_hold(self) -> None:
        problems, long_files, cpp_files = check_tree(ROOT)
        for line in long_files:
            print("long file:", line, file=sys.stderr)
        self.assertEqual([str(p) for p in problems], [])
        self.assertGreater(cpp_files, 10, "the check did not find the sources")

    def test_every_layer_is_known(self) -> None:
        # A new top-level folder with C++ must get its place in the rule.
        others = {"tests", "docs"}
        for path in source_files(ROOT):
            if Path(path).suffix in CPP_SUFFIXES and path.split("/")[0] not in others:
                self.assertIsNotNone(layer_of(path), f"{path} belongs to no layer")


class Checker(unittest.TestCase):
    """The checker finds planted faults and stays quiet about good files."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = Path(folder.name)
        for name in [*ALLOWED, "docs"]:
            (cls.root / name).mkdir(parents=True)
            (cls.root / name / "known.hpp").touch()

    def problems(self, path: str, text: str) -> list[str]:
        """What the checker says about a clean tree plus one file."""
        planted = self.root / path
        planted.write_text(text, encoding="utf-8")
        try:
            found, _, _ = check_tree(self.root)
        finally:
            planted.unlink()
        return [str(p) for p in found]

    def test_every_pair_of_layers(self) -> None:
        order = [
            "sim/core",
            "models",
            "schedulers",
            "devices",
            "network",
            "results",
            "sim/world",
            "scenarios",
            "python",
        ]
        siblings = {"devices", "network", "results"}
        for i, layer in enumerate(order):
            for j, target in enumerate(order):
                allowed = j <= i and not (layer != target and {layer, target} <= siblings)
                found = self.problems(f"{layer}/a.cpp", f'#include "{target}/known.hpp"\n')
                with self.subTest(layer=layer, target=target):
                    self.assertEqual(len(found), 0 if allowed else 1, found)

    def test_forms_of_bad_includes(self) -> None:
        for text, expected in [
            ('#include "sim/world/known.hpp"', "must not include"),
            ('  #  include "sim/world/known.hpp"', "must not include"),
            ('/* why */ #include "sim/world/known.hpp"', "must not include"),
            ("#include <models/known.hpp>", 'write "models/known.hpp"'),
            ('#include "known.hpp"', "not written from the root"),
            ('#include "models/../sim/world/known.hpp"', "not written from the root"),
            ('#include "models/missing.hpp"', "does not exist"),
        ]:
            found = self.problems("models/a.hpp", text + "\n")
            with self.subTest(text=text):
                self.assertTrue(found and expected in found[0], found)
                self.assertTrue(found[0].startswith("models/a.hpp:1:"), found)

    def test_comments_do_not_count(self) -> None:
        text = '// #include "python/known.hpp"\n/*\n#include "python/known.hpp"\n*/\n'
        self.assertEqual(self.problems("models/a.hpp", text), [])
        # ... and the line after a comment does.
        text += '#include "python/known.hpp"\n'
        self.assertEqual(len(self.problems("models/a.hpp", text)), 1)

    def test_foreign_libraries(self) -> None:
        for path, header, good in [
            ("network/a.cpp", "simgrid/s4u.hpp", True),
            ("sim/world/a.cpp", "simgrid/s4u.hpp", False),
            ("network/a.cpp", "xbt/log.h", True),
            ("devices/a.cpp", "xbt/log.h", False),
            ("models/hdf5.cpp", "hdf5.h", True),
            ("models/hdf5.hpp", "H5Cpp.h", True),
            ("models/profile.cpp", "hdf5.h", False),
            ("results/a.cpp", "H5public.h", False),
            ("python/a.cpp", "pybind11/pybind11.h", True),
            ("scenarios/a.cpp", "pybind11/pybind11.h", False),
            ("results/a.cpp", "Python.h", False),
            ("models/a.cpp", "vector", True),
        ]:
            found = self.problems(path, f"#include <{header}>\n")
            with self.subTest(path=path, header=header):
                self.assertEqual(len(found), 0 if good else 1, found)

    def test_marks_and_machine_paths(self) -> None:
        mark, place = "TO" + "DO", "/" + "home/jane/x"
        self.assertEqual(len(self.problems("models/a.cpp", f"// {mark}: later\n")), 1)
        self.assertEqual(len(self.problems("docs/a.md", f"see {place}\n")), 1)
        self.assertEqual(len(self.problems("python/a.py", f'x = "{place}"\n')), 1)
        self.assertEqual(self.problems("models/a.cpp", "// homework/root/x, a/home/x\n"), [])

    def test_long_files_are_reported(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "models").mkdir()
            (Path(folder) / "models/a.cpp").write_text("int x;\n" * 601)
            (Path(folder) / "models/b.cpp").write_text("int x;\n" * 600)
            _, long_files, _ = check_tree(Path(folder))
        self.assertEqual(long_files, ["models/a.cpp: 601 lines (more than 600)"])


if __name__ == "__main__":
    unittest.main()
