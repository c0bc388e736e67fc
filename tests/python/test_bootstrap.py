"""The bootstrap script: later calls do nothing but start the program."""

import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "isthmus"


def call() -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, "version"], capture_output=True, text=True, check=True)


def test_nothing_is_built_twice():
    first = call()
    assert first.stdout.startswith("isthmus ")
    second = call()
    assert second.stderr == "", "a second call must neither configure nor build"
    assert second.stdout == first.stdout
