"""Flags that several commands share."""

from __future__ import annotations

import argparse

from netgen.names import PHASES, TARGETS
from ssd_common.arguments import Parser, offer


def add_detector(parser: Parser, name: str, what: str, metavar: str = "ID") -> None:
    """Add a positional argument that takes a zoo id; shells complete it.

    name: the argument's name in args. what: its help. metavar: its name in the usage line.
    """
    offer(parser.add_argument(name, metavar=metavar, help=what), _zoo_ids)


def _zoo_ids() -> list[str]:
    from netgen.zoo.registry import entries

    return list(entries())


def add_plugin(parser: Parser) -> None:
    """Add --plugin."""
    what = "a Python file that registers detectors; may be given more than once"
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help=what)


def load_plugins(args: argparse.Namespace) -> None:
    """Register the detectors of every --plugin file.

    Raises CaffeError for a faulty file, OSError for a missing one.
    """
    if args.plugin:
        from netgen.zoo.registry import load_plugin

        for file in args.plugin:
            load_plugin(file)


def add_phase(parser: Parser) -> None:
    """Add --phase."""
    what = "default: deploy for an id, and the phase that a file is written for"
    parser.add_argument("--phase", choices=PHASES, help=what)


def add_target(parser: Parser, what: str) -> None:
    """Add --target; its help is `what` and the default."""
    parser.add_argument("--target", default="ssd", choices=TARGETS, help=f"{what} (default: ssd)")
