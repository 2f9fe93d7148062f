"""Print how long netgen takes: the whole zoo, one id, `--help`. Standard library and netgen only.

usage: python -m bench.building    (`make bench-netgen` calls it)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"all": 15.0, "one": 0.7, "help": 0.3}  # seconds, on one core
EVERYTHING = """
from netgen.writer import texts
from netgen.run import Run
from netgen.zoo.registry import entries, get
files = {(zoo_id, name): text for zoo_id in entries() for name, text in texts(Run.of(get(zoo_id))).items()}
print(len(entries()), len(files), sum(map(len, files.values())))
"""


def seconds(*arguments: str, folder: str) -> tuple[float, str]:
    """The best of three runs of Python with these arguments, interpreter start included, and what it printed."""
    best, out = float("inf"), ""
    for _ in range(1 if "-c" in arguments else 3):
        start = perf_counter()
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        out = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
        best = min(best, perf_counter() - start)
    return best, out


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        whole, out = seconds("-c", EVERYTHING, folder=folder)
        one, _ = seconds("-m", "netgen", "build", "dssd513_coco", folder=folder)
        usage, _ = seconds("-m", "netgen", "--help", folder=folder)
    ids, files, characters = map(int, out.split())
    rows = [
        (f"nets, solvers and scripts of {ids} ids, {files} files, {characters / 1e6:.1f} MB", whole, TARGETS["all"]),
        ("netgen build dssd513_coco", one, TARGETS["one"]),
        ("netgen --help", usage, TARGETS["help"]),
    ]
    for what, took, target in rows:
        print(f"{what:70} {took:6.2f} s, target {target:g} s{'' if took < target else ': missed'}")
    return int(any(took >= target for _, took, target in rows))


if __name__ == "__main__":
    sys.exit(main())
