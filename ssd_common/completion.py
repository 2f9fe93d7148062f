"""The command `completion` of every program: a script that completes commands and flags."""

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
    "print a script that lets a shell complete commands, flags and their choices: of this program,"
    " and of the others that were installed with it"
)
NOTES = "Write the line into ~/.bashrc, ~/.zshrc (after compinit) or ~/.config/fish/config.fish."


class Completion:
    """The command `completion` of one program.

    program: its name.
    """

    HELP = HELP
    NOTES = NOTES

    def __init__(self, program: str) -> None:
        self.EXAMPLES = f"""
            eval "$({program} completion bash)"
            eval "$({program} completion zsh)"
            {program} completion fish | source"""

    def add_flags(self, parser: Parser) -> None:
        """Add the argument that names the shell."""
        shells = ", ".join(SHELLS)
        parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=shells)

    def run(self, args: argparse.Namespace) -> None:
        """Print the scripts of all programs, this one first."""
        programs = {args.program.name: args.program}
        for program in installed_programs():
            programs[program.name] = program
        scripts = [script(program, args.shell) for program in programs.values()]
        print(*scripts, sep="\n")


command = Completion


def installed_programs() -> Iterator[Program]:
    """Yield the programs that this project's installation brought.

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
    """Return a program's completion script for one of SHELLS."""
    import shtab  # noqa: PLC0415  (other commands do without it)

    parser = program.whole_parser()
    for action in _actions(parser):
        if action.nargs == argparse.PARSER:
            continue
        # A list, since shtab takes a dict's keys for commands.
        action.choices = offered(action) or None
        completed = _completed(action)
        if completed:
            action.complete = getattr(shtab, completed)  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all arguments of a parser and of the commands below it."""
    for action in parser._actions:
        yield action
        if action.nargs == argparse.PARSER:
            for below in _commands(action):
                yield from _actions(below)


def _commands(action: argparse.Action) -> list[Any]:
    return list(dict(action.choices or {}).values())


def _completed(action: argparse.Action) -> str | None:
    """Return the attribute of shtab that completes an argument of this metavar, or None."""
    if action.choices is not None or not isinstance(action.metavar, str):
        return None
    words = action.metavar.split("|")
    if "FILE" in action.metavar or "IMAGE" in words:
        return "FILE"
    if set(words) & set(FOLDERS):
        return "DIRECTORY"
    return None
