#!/usr/bin/env python3
"""Calibrates on the first half of a logged vLLM run and prints how well that predicts the second.

Usage: ./isthmus python tests/validation/calibrate_report.py [OPTIONS OF isthmus calibrate]

Runs, kernel tables and workloads are those of vllm_report.py, below $ISTHMUS_DATA (default
../shared). Of the log, `isthmus calibrate` is given which prompts begin alike in addition.
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile

from report_tools import data_folder, program
from vllm_report import json_lines, prepare


def main() -> int:
    data = data_folder()
    logs = sorted(
        p.parent.parent
        for p in (data / "measured_e2e/llmservingsim_vllm_bench").glob("*/*/vllm/requests.jsonl")
    )
    if not logs:
        print(f"skipped: no vLLM logs below {data}; name the folder with ISTHMUS_DATA")
        return 0
    with tempfile.TemporaryDirectory() as work:
        for log in logs:
            run = prepare(log, data, pathlib.Path(work))
            if run is None:
                continue
            trace = json_lines(run.folder / "trace.jsonl")
            measured = run.folder / "requests.jsonl"
            with measured.open("w") as file:
                for request, row in zip(json_lines(log / "vllm/requests.jsonl"), trace, strict=True):
                    file.write(json.dumps({**request, "hash_ids": row["hash_ids"]}) + "\n")
            scenario = run.folder / "scenario.json"
            block = json.loads(scenario.read_text())["workload"][0]["tokens_per_hash"]
            text = program("calibrate", str(scenario), "--measured", str(measured),
                           "--tokens-per-hash", str(block), *sys.argv[1:])
            print(text.replace(f"{run.folder}/", ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
