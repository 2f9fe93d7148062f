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
    """Return every id of the zoo, read from its committed index."""
    index = (ROOT / "docs/zoo/README.md").read_text(encoding="utf-8")
    found: list[str] = []
    for line in index.splitlines():
        if line.startswith("- ["):
            _, ids = line.split("): ", 1)
            found += re.findall(r"\w+", ids)
    return found


def targets() -> list[str]:
    """Return the Makefile's own targets."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    match = re.search(r"^\.PHONY:(.*)", makefile, re.MULTILINE)
    assert match
    return match[1].split()


def main(argv: Sequence[str]) -> None:
    """Print the full id for the name argv[0].

    Raises UsageError unless there is one name, CaffeError with the nearest id or target for an
    unknown one.
    """
    if len(argv) != 1:
        raise UsageError("usage: python -m tools.zoo_id NAME")
    found = full_id(
        argv[0],
        zoo_ids(),
        what="zoo id or make target",
        others=targets(),
        see="make help",
    )
    print(found)


if __name__ == "__main__":
    sys.exit(run_command("make", main))
