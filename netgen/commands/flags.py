"""Flags that several commands have."""

from __future__ import annotations

from ssd_common.arguments import Parser

PHASES = ("train", "test", "deploy")
TARGETS = ("ssd", "fssd")


def add_phase(parser: Parser) -> None:
    """--phase."""
    what = "default: deploy of an id, and what a file is for"
    parser.add_argument("--phase", choices=PHASES, help=what)


def add_target(parser: Parser, what: str) -> None:
    """--target, with a text before its default."""
    parser.add_argument("--target", default="ssd", choices=TARGETS, help=f"{what} (default: ssd)")
