"""Print how long netgen takes: the whole zoo, one id, `--help`.

usage: python -m bench.building    (`make bench-netgen` calls it; needs what netgen needs)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from ssd_common.arguments import Parser
from ssd_common.command import run_command

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"all": 15.0, "one": 0.7, "help": 0.3}  # seconds, on one core
EVERYTHING = """
from netgen.writer import texts
from netgen.run import Run
from netgen.zoo.registry import entries, get
files = {}
for zoo_id in entries():
    for name, text in texts(Run.of(get(zoo_id))).items():
        files[zoo_id, name] = text
print(len(entries()), len(files), sum(map(len, files.values())))
"""


def seconds(*arguments: str, folder: str, runs: int = 3) -> tuple[float, str]:
    """Time Python with these arguments, interpreter start included.

    folder: working directory. runs: number of runs.

    Returns the seconds of the fastest run, and the text that the last one printed.
    Raises CalledProcessError where one fails.
    """
    best = float("inf")
    printed = ""
    for _ in range(runs):
        start = perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        printed = done.stdout
        best = min(best, perf_counter() - start)
    return best, printed


def main(argv: Sequence[str]) -> int:
    """Print the times beside their targets. Returns 1 if one is missed, else 0.

    Raises UsageError for any argument but --help.
    """
    Parser(prog="python -m bench.building", description=__doc__).parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        whole, printed = seconds("-c", EVERYTHING, folder=folder, runs=1)
        one, _ = seconds("-m", "netgen", "build", "dssd513_coco", folder=folder)
        usage, _ = seconds("-m", "netgen", "--help", folder=folder)
    ids, files, characters = map(int, printed.split())
    size = f"{files} files, {characters / 1e6:.1f} MB"
    rows = [
        (f"nets, solvers and scripts of {ids} ids, {size}", whole, TARGETS["all"]),
        ("netgen build dssd513_coco", one, TARGETS["one"]),
        ("netgen --help", usage, TARGETS["help"]),
    ]
    missed = 0
    for what, took, target in rows:
        line = f"{what:70} {took:6.2f} s, target {target:g} s"
        if took >= target:
            missed = 1
            line += ": missed"
        print(line)
    return missed


if __name__ == "__main__":
    sys.exit(run_command("bench.building", main))
