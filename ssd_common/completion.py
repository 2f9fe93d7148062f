"""The command `completion` of every program: what a shell needs to complete commands and flags."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from ssd_common.arguments import Parser, offered
from ssd_common.command import Program
from ssd_common.version import DISTRIBUTION

SHELLS = ("bash", "zsh", "fish")
FOLDERS = ("DIR", "LMDB", "RUN", "PHOTOS")

HELP = (
    "Print a script that lets a shell complete commands, flags and their choices: of this program,"
    " and of the others that were installed with it."
)
NOTES = "Write the line into ~/.bashrc, ~/.zshrc (after compinit) or ~/.config/fish/config.fish."


class Completion:
    """The command of one program. program: its name."""

    HELP = HELP
    NOTES = NOTES

    def __init__(self, program: str) -> None:
        self.EXAMPLES = f"""
            eval "$({program} completion bash)"
            eval "$({program} completion zsh)"
            {program} completion fish | source"""

    def add_flags(self, parser: Parser) -> None:
        """The shell."""
        parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))

    def run(self, args: argparse.Namespace) -> None:
        """Print the script."""
        programs = {args.program.name: args.program}
        programs.update((program.name, program) for program in installed_programs())
        print(*(script(program, args.shell) for program in programs.values()), sep="\n")


command = Completion


def installed_programs() -> Iterator[Program]:
    """The programs that this project's installation brought.

    A checkout that is not installed has none.
    """
    try:
        found = metadata.distribution(DISTRIBUTION).entry_points
    except metadata.PackageNotFoundError:
        return
    for point in found:
        if point.group != "console_scripts":
            continue
        program = getattr(importlib.import_module(point.module), "PROGRAM", None)
        if isinstance(program, Program):
            yield program


def script(program: Program, shell: str) -> str:
    """A program's completion script for one of SHELLS."""
    import shtab  # noqa: PLC0415  (other commands do without it)

    parser = program.whole_parser()
    for action in _actions(parser):
        if action.nargs == argparse.PARSER:
            continue
        action.choices = offered(action) or None  # a list: shtab takes every dict for commands
        completed = _completed(action)
        if completed:
            action.complete = getattr(shtab, completed)  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments of a parser and of the commands below it."""
    for action in parser._actions:
        yield action
        if action.nargs == argparse.PARSER:
            for below in _commands(action):
                yield from _actions(below)


def _commands(action: argparse.Action) -> list[Any]:
    return list(dict(action.choices or {}).values())


def _completed(action: argparse.Action) -> str | None:
    """The attribute of shtab that completes an argument, by its metavar; None for other words."""
    if action.choices is not None or not isinstance(action.metavar, str):
        return None
    words = action.metavar.split("|")
    if "FILE" in action.metavar or "IMAGE" in words:
        return "FILE"
    return "DIRECTORY" if set(words) & set(FOLDERS) else None
