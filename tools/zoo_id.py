"""Prints the full zoo id for a name: `fssd300` is fssd300_voc0712.

`make` asks before anything is installed, so this needs the standard library only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from netgen.names import full_id
from ssd_common.command import run_command
from ssd_common.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent


def zoo_ids() -> list[str]:
    """Every id of the zoo, as its committed index has them."""
    index = (ROOT / "docs/zoo/README.md").read_text(encoding="utf-8")
    lines = (line.split("): ", 1)[1] for line in index.splitlines() if line.startswith("- ["))
    return [zoo_id for line in lines for zoo_id in re.findall(r"\w+", line)]


def targets() -> list[str]:
    """The Makefile's own targets."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    match = re.search(r"^\.PHONY:(.*)", makefile, re.MULTILINE)
    assert match
    return match[1].split()


def main(argv: Sequence[str]) -> None:
    """Print the id that argv[0] means. Raises CaffeError with the nearest id or target."""
    if len(argv) != 1:
        raise UsageError("usage: python -m tools.zoo_id NAME")
    what = "zoo id or make target"
    print(full_id(argv[0], zoo_ids(), what=what, others=targets(), see="make help"))


if __name__ == "__main__":
    sys.exit(run_command("make", main))
