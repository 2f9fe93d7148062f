"""The parser of every command line here.

Its errors are one line each and name the nearest flag or command. It takes gflags' spellings
as well, which Caffe's own commands use.
"""

from __future__ import annotations

import argparse
import math
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

    The arguments that it finds have one more, `prog`: the program and the command, "tool paint".
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
        raise UsageError(with_help(message, self.prog))

    def parse_known_args(self, args=None, namespace=None):
        """Refuse unknown flags before argparse does, which would not name the nearest flag.

        A parser with subcommands leaves this to their parsers: only they know their flags.
        """
        if self._subparsers:
            return super().parse_known_args(args, namespace)
        if args is None:
            args = sys.argv[1:]
        words = [self._to_argparse(word) for word in args]
        self._refuse_unknown(words)
        found, rest = super().parse_known_args(words, namespace)
        if rest:
            self.error(f"unexpected argument '{rest[0]}'")
        found.prog = self.prog
        return found, rest

    def format_help(self) -> str:
        """Return the help; arguments that `offer` words there end with them."""
        plain = {}
        for action in self._actions:
            if getattr(action, "lists_words", False):
                plain[action] = action.help
                action.help = f"{action.help}: {', '.join(offered(action))}"
        try:
            return super().format_help()
        finally:
            for action, text in plain.items():
                action.help = text

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        known = self._option_string_actions
        for word in words:
            if word == "--":
                return
            flag = word.split("=")[0]
            if word.startswith("--") and flag not in known:
                self.error(unknown_argument(flag, known))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise an error for a value that is none of an action's choices; argparse calls this."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        if action.nargs == argparse.PARSER:
            what = str(action.metavar or "command").lower()
            first = what != "command"
            raise UsageError(unknown_command(what, str(value), known, first))
        near = suggest(str(value), known)
        listed = ", ".join(known)
        raise argparse.ArgumentError(action, f"'{value}' is not one of {listed}{near}")

    def _to_argparse(self, word: str) -> str:
        """Translate a word from gflags' spelling to argparse's.

        A flag whose value may be missing (nargs "?") gets one: true, or false for `--nogray`.
        """
        match = re.fullmatch(r"--?([A-Za-z][\w-]*)(=.*)?", word, re.DOTALL)
        if not match or f"-{match[1]}" in self._option_string_actions:
            return word
        name = match[1].replace("_", "-")
        value = match[2] or ""
        if self._is_switch(f"--{name}"):
            value = value or "=true"
        elif not value and name.startswith("no") and self._is_switch(f"--{name[2:]}"):
            name = name[2:]
            value = "=false"
        return f"--{name}{value}"

    def _is_switch(self, flag: str) -> bool:
        action = self._option_string_actions.get(flag)
        return action is not None and action.nargs == "?"


def with_help(message: str, prog: str) -> str:
    """Return an error of usage with the place that tells more, unless it has it already.

    prog: the program and its command, "tool paint".
    """
    if message.endswith(" --help"):
        return message
    return f"{message}; see {prog} --help"


def offer(
    action: argparse.Action,
    words: Callable[[], Iterable[str]],
    *,
    in_help: bool = False,
) -> None:
    """Let shells complete an argument to these words; the argument may be any other, too.

    words: returns them; called only when a completion script or help is written.
    in_help: the argument's help ends with the words.
    """
    action.offered = words  # type: ignore[attr-defined]
    action.lists_words = in_help  # type: ignore[attr-defined]


def offered(action: argparse.Action) -> list[str]:
    """Return the words that shells complete an argument to."""
    if hasattr(action, "offered"):
        return list(action.offered())
    return [str(choice) for choice in action.choices or ()]


def unknown_argument(flag: str, known: Iterable[str]) -> str:
    """Return the error for a flag that a command lacks."""
    near = suggest(flag, known)
    return f"unknown argument {flag}{near}"


def unknown_command(
    what: str,
    given: str,
    known: Sequence[str],
    first: bool = False,
) -> str:
    """Return the error for a command that a program lacks.

    what: "command", or what a command calls its own subcommands.
    given: what the user typed.
    first: whether to say that it comes before other words.
    """
    near = suggest(given, known)
    if near:
        return f"no {what} '{given}'{near}"
    place = ""
    if first:
        place = "it comes first, "
    return f"no {what} '{given}' ({place}one of {', '.join(known)})"


def whole(word: str) -> int:
    """Parse a whole number: what type=int means in a Parser."""
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{word}' is not a whole number") from None


def positive(word: str) -> int:
    """Parse a whole number of at least 1."""
    try:
        value = int(word)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{word}' is not a positive whole number")
    return value


def at_least(least: int, about: str = "") -> Callable[[str], int]:
    """Return the type of an argument that takes a whole number from `least` on.

    about: what the error says after the number.
    """

    def parse(word: str) -> int:
        value = whole(word)
        if value < least:
            wanted = f"a whole number of at least {least}{about}"
            raise argparse.ArgumentTypeError(f"'{word}' is not {wanted}")
        return value

    return parse


def number(word: str) -> float:
    """Parse a finite number: what type=float means in a Parser."""
    try:
        value = float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{word}' is not a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{word}' is not a finite number")
    return value


def switch(word: str) -> bool:
    """Parse a boolean in gflags' words."""
    if word.lower() in _TRUE:
        return True
    if word.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"'{word}' is neither true nor false")
