"""Flags that several commands have."""

from __future__ import annotations

import argparse

from ssd_common.arguments import Parser, offer

PHASES = ("train", "test", "deploy")
TARGETS = ("ssd", "fssd")


def add_detector(parser: Parser, name: str, what: str, metavar: str = "ID") -> None:
    """A positional argument that is a zoo id, or may be one; shells complete it."""
    offer(parser.add_argument(name, metavar=metavar, help=what), _zoo_ids)


def _zoo_ids() -> list[str]:
    from netgen.zoo.registry import entries

    return list(entries())


def add_plugin(parser: Parser) -> None:
    """--plugin."""
    what = "a Python file that registers detectors; may be given more than once"
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help=what)


def load_plugins(args: argparse.Namespace) -> None:
    """Register the detectors of every --plugin. Raises CaffeError where a file is at fault."""
    if args.plugin:
        from netgen.zoo.registry import load_plugin

        for file in args.plugin:
            load_plugin(file)


def add_phase(parser: Parser) -> None:
    """--phase."""
    what = "default: deploy of an id, and what a file is for"
    parser.add_argument("--phase", choices=PHASES, help=what)


def add_target(parser: Parser, what: str) -> None:
    """--target, with a text before its default."""
    parser.add_argument("--target", default="ssd", choices=TARGETS, help=f"{what} (default: ssd)")
