"""Print the full zoo id for a name (`fssd300` -> `fssd300_voc0712`), or say the nearest one. Needs the standard library only."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from caffe_ir.errors import CaffeError, run_command, suggest  # noqa: E402

TARGETS = ("help", "demo", "test", "lint", "types", "check", "install", "prototxt", "bench-netgen", "proto", "clean")


def full_id(name: str) -> str:
    """The zoo id that a name stands for: itself, or with `_voc0712`. Raises CaffeError naming the nearest id or make target."""
    ids = sorted(p.parent.name for p in (ROOT / "prototxt").glob("*/solver.prototxt"))
    for candidate in (name, f"{name}_voc0712"):
        if candidate in ids:
            return candidate
    short = {i.removesuffix("_voc0712") for i in ids}
    raise CaffeError(f"no zoo id or make target '{name}'{suggest(name, [*ids, *short, *TARGETS])}: `make help` lists them")


def main(argv: list[str]) -> None:
    """zoo_id.py NAME"""
    print(full_id(argv[0]))


if __name__ == "__main__":
    sys.exit(run_command("make", main))
