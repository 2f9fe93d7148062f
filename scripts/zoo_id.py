"""Print the full zoo id for a name (`fssd300` -> `fssd300_voc0712`), or say the nearest one. Needs the standard library only."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from netgen.names import full_id  # noqa: E402
from ssd_common.command import run_command  # noqa: E402

TARGETS = ("help", "demo", "test", "lint", "types", "check", "install", "prototxt", "bench", "bench-netgen", "bench-data", "proto", "clean")


def zoo_ids() -> list[str]:
    """Every id of the zoo, as its committed index has them."""
    index = (ROOT / "docs/zoo/README.md").read_text(encoding="utf-8")
    return [zoo_id for line in index.splitlines() if line.startswith("- [") for zoo_id in re.findall(r"\w+", line.split("): ", 1)[1])]


def main(argv: list[str]) -> None:
    """zoo_id.py NAME"""
    print(full_id(argv[0], zoo_ids(), what="zoo id or make target", others=TARGETS, see="make help"))


if __name__ == "__main__":
    sys.exit(run_command("make", main))
