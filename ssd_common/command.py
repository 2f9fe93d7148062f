"""One manner of command line for every program here: its help, its commands, how it ends."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from ssd_common.arguments import Parser, unknown_argument, unknown_command
from ssd_common.errors import CaffeError, UsageError
from ssd_common.installation import missing_package
from ssd_common.tables import aligned
from ssd_common.version import __version__

_HELP = ("-h", "--help", "-help", "help")
_VERSION = ("--version", "-version")
_COMPLETION = "print a script that lets bash, zsh or fish complete commands and flags"


@dataclass(frozen=True)
class Program:
    """A program of several commands, each a module that is imported only when it is asked for.

    `completion` is a command of every program, beside those that are given.

    name: what users type. description: one line.
    commands: name → (its module, a line for the list of commands). "module:word" is for commands
    that differ in little: module.command(word) stands in for a module.
    examples: lines below that list.
    loading: a context in which a command's module is imported, and the modules of its HEAVY.

    A command's module has:
      HELP          what the command does, for its own `--help`
      EXAMPLES      lines a user could type
      add_flags     (parser) adds its arguments
      run           (args) does it, and returns the exit status; None is 0
    and it may have:
      NOTES         a text between its flags and its examples
      HEAVY         names of modules that take long to import: imported just before run
      split         (argv) parts what is the command's own from what it hands on as args.rest
    run also finds in args: command, its name; argv, its words as they were typed; program, this.
    """

    name: str
    description: str
    commands: Mapping[str, tuple[str, str]]
    examples: str = ""
    loading: Callable[[], AbstractContextManager[None]] = nullcontext

    def __post_init__(self) -> None:
        completion = {"completion": (f"ssd_common.completion:{self.name}", _COMPLETION)}
        object.__setattr__(self, "commands", {**self.commands, **completion})

    def main(self, argv: Sequence[str]) -> int:
        """Run the command that argv names and return its exit status. Raises CaffeError."""
        if len(argv) > 1 and argv[0] == "help":
            argv = [argv[1], "--help"]
        if not argv or argv[0] in _HELP:
            print(self.help())
            return 0
        if argv[0] in _VERSION:
            print(f"{self.name} {__version__}")
            return 0
        return self._run(self._find(argv[0]), argv[1:])

    def help(self) -> str:
        """What `--help` prints: every command in a line."""
        rows = [(name, what) for name, (_, what) in self.commands.items()]
        lines = [f"  {line}" for line in aligned(rows, left=2)]
        parts = [
            f"usage: {self.name} COMMAND [FLAGS]",
            self.description,
            "\n".join(["commands:", *lines]),
            _examples(self.examples),
            f"{self.name} COMMAND --help lists a command's flags; {self.name} --version says which"
            " version this is.",
        ]
        return "\n\n".join(part for part in parts if part)

    def parser(self, name: str) -> Parser:
        """A command's parser. Imports its module."""
        return self._parser(name, self._command(name))

    def whole_parser(self) -> Parser:
        """One parser for all commands, for completion. Imports all their modules.

        A command whose packages are not installed is in it without its flags.
        """
        whole = Parser(prog=self.name, description=self.description)
        whole.add_argument("--version", action="store_true", help="say which version this is")
        commands = whole.add_subparsers(dest="command", metavar="COMMAND")
        for name, (_, what) in self.commands.items():
            parser = commands.add_parser(name, help=what)
            with suppress(ModuleNotFoundError):
                self._command(name).add_flags(parser)
        return whole

    def _find(self, word: str) -> str:
        """The name of the command that a word means. Raises UsageError for none."""
        name = word.replace("-", "_")
        if name in self.commands:
            return name
        if word.startswith("-"):
            said = unknown_argument(word.split("=", maxsplit=1)[0], ("--help", "--version"))
            raise UsageError(f"{said}; see {self.name} --help")
        raise UsageError(unknown_command("command", word, list(self.commands)))

    def _command(self, name: str) -> Any:
        path, _, word = self.commands[name][0].partition(":")
        with self.loading():
            module = importlib.import_module(path)
        return module.command(word) if word else module

    def _parser(self, name: str, command: Any) -> Parser:
        parser = Parser(prog=f"{self.name} {name}", description=command.HELP)
        parser.epilog = epilog(getattr(command, "NOTES", ""), command.EXAMPLES)
        command.add_flags(parser)
        return parser

    def _run(self, name: str, argv: Sequence[str]) -> int:
        command = self._command(name)
        own, rest = argv, []
        if hasattr(command, "split"):
            own, rest = command.split(argv)
        args = self._parser(name, command).parse_args(own)
        args.program, args.command, args.argv, args.rest = self, name, own, rest
        with self.loading():
            for heavy in getattr(command, "HEAVY", ()):
                importlib.import_module(heavy)
        return int(command.run(args) or 0)


def epilog(notes: str, examples: str) -> str:
    """What a command's `--help` says below its flags. examples: lines a user could type."""
    return "\n\n".join(part for part in (notes.strip(), _examples(examples)) if part)


def _examples(lines: str) -> str:
    """Examples under their heading, two columns in."""
    if not lines.strip():
        return ""
    return "examples:\n" + textwrap.indent(textwrap.dedent(lines).strip("\n"), "  ")


def run_command(
    prog: str, main: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None
) -> int:
    """Run a command's main(argv) and return its exit status.

    0, or what main returns; 2 after a usage error and 1 after any other, each one line
    `prog: error: …` on stderr; 130 after Ctrl-C.
    """
    status = 1
    try:
        return main(sys.argv[1:] if argv is None else argv) or 0
    except UsageError as error:
        status, message = 2, str(error)
    except CaffeError as error:
        message = str(error)
    except ModuleNotFoundError as error:
        message = missing_package(prog, error)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except KeyboardInterrupt:
        sys.stderr.write(f"{prog}: interrupted\n")
        return 130
    # One write: print() writes the line's end by itself, and two processes' lines could mix.
    sys.stderr.write(f"{prog}: error: {message}\n")
    return status
