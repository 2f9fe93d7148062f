"""The parser of every command line here: errors of one line that name the nearest flag or command.

It takes gflags' spellings as well, which Caffe's own commands have.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from ssd_common.errors import UsageError
from ssd_common.suggest import suggest

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of exiting.

    It knows Caffe's spellings too: `-solver=x`, `--sigint_effect=x`, a bare `--gray`, `--nogray`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)
        self.register("type", int, whole)
        self.register("type", float, number)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with the message and where to read more."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def parse_known_args(self, args=None, namespace=None):
        """Refuse unknown flags before argparse does, which would miss the flag that was meant.

        A parser with subcommands leaves that to theirs: only they know their flags.
        """
        if self._subparsers:
            return super().parse_known_args(args, namespace)
        words = [self._spelt(word) for word in (sys.argv[1:] if args is None else args)]
        self._refuse_unknown(words)
        found, rest = super().parse_known_args(words, namespace)
        if rest:
            self.error(f"unexpected argument '{rest[0]}'")
        return found, rest

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        known = self._option_string_actions
        for word in words:
            if word == "--":
                return
            flag = word.split("=")[0]
            if word.startswith("--") and flag not in known:
                self.error(unknown_argument(flag, known))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """argparse's hook for a value that must be one of an action's choices."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        if action.nargs == argparse.PARSER:
            what = str(action.metavar or "command").lower()
            raise UsageError(unknown_command(what, str(value), known, first=what != "command"))
        near = suggest(str(value), known)
        raise argparse.ArgumentError(action, f"'{value}' is not one of {', '.join(known)}{near}")

    def _spelt(self, word: str) -> str:
        """A word in argparse's spelling.

        A flag whose word may be missing (nargs "?") gets it: true, or false of `--nogray`.
        """
        match = re.fullmatch(r"--?([A-Za-z][\w-]*)(=.*)?", word, re.DOTALL)
        if not match or f"-{match[1]}" in self._option_string_actions:
            return word
        name, value = match[1].replace("_", "-"), match[2] or ""
        if self._is_switch(f"--{name}"):
            value = value or "=true"
        elif name.startswith("no") and self._is_switch(f"--{name[2:]}") and not value:
            name, value = name[2:], "=false"
        return f"--{name}{value}"

    def _is_switch(self, flag: str) -> bool:
        action = self._option_string_actions.get(flag)
        return action is not None and action.nargs == "?"


def offer(action: argparse.Action, words: Callable[[], Iterable[str]]) -> None:
    """Let shells complete an argument to these words; it may be any other, too.

    words: called when the completion script is written, not before.
    """
    action.offered = words  # type: ignore[attr-defined]


def offered(action: argparse.Action) -> list[str]:
    """The words that shells complete an argument to."""
    if hasattr(action, "offered"):
        return list(action.offered())
    return [str(choice) for choice in action.choices or ()]


def unknown_argument(flag: str, known: Iterable[str]) -> str:
    """What every command says to a flag that it does not have."""
    return f"unknown argument {flag}{suggest(flag, known)}"


def unknown_command(what: str, given: str, known: Sequence[str], first: bool = False) -> str:
    """What every program says to a command that it does not have.

    what: "command", or "kind" of a command's own. first: say that it comes before other words.
    """
    if near := suggest(given, known):
        return f"no {what} '{given}'{near}"
    place = "it comes first, " if first else ""
    return f"no {what} '{given}' ({place}one of {', '.join(known)})"


def whole(word: str) -> int:
    """A whole number, for argparse: what type=int of a Parser's argument means."""
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{word}' is not a whole number") from None


def positive(word: str) -> int:
    """A whole number of at least 1, for argparse."""
    try:
        value = int(word)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{word}' is not a positive whole number")
    return value


def number(word: str) -> float:
    """A number, for argparse: what type=float of a Parser's argument means."""
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{word}' is not a number") from None


def switch(word: str) -> bool:
    """A boolean in gflags' words, for argparse."""
    if word.lower() in _TRUE:
        return True
    if word.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"'{word}' is neither true nor false")
