"""`netrun python`: a script written for pycaffe."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

HELP = "run a Python script that was written for pycaffe: its `import caffe` is netrun's"
EXAMPLES = """
netrun python examples/ssd/ssd_pascal.py
  (which starts ./build/tools/caffe: make that a link to netrun)
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument(
        "-m",
        dest="module",
        action="store_true",
        help="SCRIPT is the name of a module, as with python -m",
    )
    parser.add_argument(
        "-c",
        dest="code",
        action="store_true",
        help="SCRIPT is Python code, as with python -c",
    )
    parser.add_argument(
        "-u",
        dest="unbuffered",
        action="store_true",
        help="write what the script prints at once, as with python -u",
    )
    parser.add_argument(
        "-B",
        "-O",
        "-s",
        "-E",
        dest="taken",
        action="store_true",
        help="taken and not used: flags of Python without which the script does the same",
    )
    parser.add_argument(
        "script",
        metavar="SCRIPT",
        help="what to run, - for standard input; it gets all words that follow",
    )


def split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Split the words into this command's own, up to the script's name, and the script's."""
    for i, word in enumerate(argv):
        if word == "-" or not word.startswith("-"):
            return argv[: i + 1], argv[i + 1 :]
    return argv, []


def run(args: argparse.Namespace) -> int:
    """Run the script in this process. Raises CaffeError where it cannot run as it is."""
    from netrun.pycaffe.scripts import run_script

    if args.unbuffered and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(write_through=True)
    return run_script(args.script, args.rest, module=args.module, code=args.code)
