"""Writes what this repository commits and netgen makes: prototxt/ and docs/zoo/.

`make prototxt` writes the files that have changed, `make check` (--check) fails where one is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from netgen import writer
from netgen.reports import zoo_page
from netgen.zoo.configuration import configure
from netgen.zoo.registry import committed_ids
from ssd_common.arguments import Parser
from ssd_common.command import run_command
from ssd_common.files import write_atomic


def stale_nets(zoo_ids: Iterable[str]) -> list[Path]:
    """Files of these detectors that prototxt/ lacks or has with another content."""
    return [path for zoo_id in zoo_ids for path in writer.stale(configure(zoo_id))]


def stale_pages() -> dict[Path, str]:
    """Files of docs/zoo/ that are not what they should be, and what they should hold."""
    found = {Path(name): content for name, content in zoo_page.pages().items()}
    return {path: content for path, content in found.items() if not writer.holds(path, content)}


def check() -> None:
    """Raise CaffeError where a committed file is not what netgen writes."""
    stale = [*stale_nets(committed_ids()), *stale_pages()]
    writer.refuse_stale(stale, "run make prototxt")


def write() -> list[Path]:
    """Write the files that have changed, below the working directory, and return them."""
    changed = [path for zoo_id in committed_ids() for path in writer.write(configure(zoo_id))]
    pages = stale_pages()
    for path, content in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    return [*changed, *pages]


def main(argv: Sequence[str]) -> None:
    """Check or write everything, from the repository's root. Raises CaffeError."""
    parser = Parser(prog="python -m tools.write_committed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is stale"
    )
    if parser.parse_args(argv).check:
        check()
        return
    for path in write():
        print(path)


if __name__ == "__main__":
    sys.exit(run_command("write_committed", main))
