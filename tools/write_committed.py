"""Writes the committed files that netgen makes: prototxt/, docs/zoo/ and models/README.md.

`make prototxt` writes the files that have changed, `make check` (--check) fails where one is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from netgen import writer
from netgen.launcher import GUIDE
from netgen.zoo.configuration import configure
from netgen.zoo.registry import committed_ids
from ssd_common.arguments import Parser
from ssd_common.command import run_command
from ssd_common.files import write_atomic
from tools import zoo_pages


def stale_nets(zoo_ids: Iterable[str]) -> list[Path]:
    """Return the detectors' files that prototxt/ lacks, or holds with another content."""
    found: list[Path] = []
    for zoo_id in zoo_ids:
        found += writer.stale(configure(zoo_id))
    return found


def stale_pages() -> dict[Path, str]:
    """Return the stale pages for readers, path → the text that each should hold."""
    found: dict[Path, str] = {}
    pages = {**zoo_pages.pages(), GUIDE: writer.guide()}
    for name, content in pages.items():
        path = Path(name)
        if not writer.holds(path, content):
            found[path] = content
    return found


def check() -> None:
    """Compare the committed files with what netgen writes. Raises CaffeError for a stale one."""
    stale = [*stale_nets(committed_ids()), *stale_pages()]
    writer.refuse_stale(stale, "run make prototxt")


def write() -> list[Path]:
    """Write the files that have changed, below the working directory, and return their paths."""
    changed: list[Path] = []
    for zoo_id in committed_ids():
        changed += writer.write(configure(zoo_id))
    pages = stale_pages()
    for path, content in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    return [*changed, *pages]


def main(argv: Sequence[str]) -> None:
    """Check or write everything, from the repository's root. Raises CaffeError for a stale file."""
    parser = Parser(prog="python -m tools.write_committed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    checking = "write nothing; fail if a file is stale"
    parser.add_argument("--check", action="store_true", help=checking)
    if parser.parse_args(argv).check:
        check()
        return
    for path in write():
        print(path)


if __name__ == "__main__":
    sys.exit(run_command("write_committed", main))
