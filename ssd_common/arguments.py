"""The parser of every command line here: errors of one line that name the nearest flag or command, flags in gflags' spellings too."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

_CHOICE = re.compile(r"argument (.+?): invalid choice: '(.*?)' \(choose from (.*)\)", re.DOTALL)
_SWITCH = {**dict.fromkeys(("true", "t", "yes", "y", "1"), True), **dict.fromkeys(("false", "f", "no", "n", "0"), False)}


class Parser(argparse.ArgumentParser):
    """Raises CaffeError instead of exiting. Takes Caffe's own spellings as well: `-solver=x`, `--sigint_effect=x`, a bare `--gray`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        if choice := _CHOICE.match(message):
            what, given, known = choice[1], choice[2], re.findall(r"[\w.+-]+", choice[3])
            near = suggest(given, known)
            if what in ("COMMAND", "KIND"):
                first = "it comes first, " if what == "KIND" else ""
                raise CaffeError(f"no {what.lower()} '{given}'{near or f' ({first}one of ' + ', '.join(known) + ')'}")
            message = f"argument {what}: '{given}' is not one of {', '.join(known)}{near}"
        raise CaffeError(f"{message}; see {self.prog} --help")

    def parse_known_args(self, args=None, namespace=None):
        """Refuse what is unknown here, where the command's own flags are known, and before argparse misses the flag that was meant."""
        if self._subparsers:
            return super().parse_known_args(args, namespace)
        words = [self._spelt(word) for word in args]
        flags = self._option_string_actions
        options = words[: words.index("--")] if "--" in words else words
        for word in options:
            if word.startswith("--") and word.split("=")[0] not in flags:
                self.error(f"unknown argument {word.split('=')[0]}{suggest(word.split('=')[0], flags)}")
        found, rest = super().parse_known_args(words, namespace)
        if rest:
            self.error(f"unexpected argument '{rest[0]}'")
        return found, rest

    def _spelt(self, word: str) -> str:
        """A word in argparse's spelling; a flag whose word may be missing (nargs "?") says what it means: true, or false of `--nogray`."""
        match = re.fullmatch(r"--?([A-Za-z][\w-]*)(=.*)?", word, re.DOTALL)
        if not match or f"-{match[1]}" in self._option_string_actions:
            return word
        name, value = match[1].replace("_", "-"), match[2] or ""
        flags = {flag for flag, action in self._option_string_actions.items() if action.nargs == "?"}
        if f"--{name}" in flags:
            value = value or "=true"
        elif name.startswith("no") and f"--{name[2:]}" in flags and not value:
            name, value = name[2:], "=false"
        return f"--{name}{value}"


def switch(word: str) -> bool:
    """A boolean in gflags' words, for argparse."""
    if word.lower() not in _SWITCH:
        raise argparse.ArgumentTypeError(f"'{word}' is neither true nor false")
    return _SWITCH[word.lower()]
