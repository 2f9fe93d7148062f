"""The command line of every program here: its help, its commands, its exit status."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from ssd_common import image_limits
from ssd_common.arguments import Parser, unknown_argument, unknown_command, with_help
from ssd_common.errors import CaffeError, UsageError
from ssd_common.installation import missing_package
from ssd_common.machine import require_address_space
from ssd_common.tables import aligned
from ssd_common.version import __version__

_HELP = ("-h", "--help", "-help", "help")
_VERSION = ("--version", "-version")
_COMPLETION = "print a script that lets bash, zsh or fish complete commands and flags"


@dataclass(frozen=True)
class Program:
    """A program of several commands, each a module that is imported only when it is used.

    Every program has the command `completion` beside the given ones.
    name: what users type.
    description: one line.
    commands: name → (module, a line for the list of commands). Commands that differ
        little can share a module: "module:word" stands for module.command(word).
    examples: lines below that list.
    loading: returns a context in which a command's module, and those of its HEAVY, are
        imported.
    least_memory: how many bytes of address space the modules of HEAVY take.

    A command's module has:
      HELP          what the command does, for its own `--help`
      EXAMPLES      lines that a user could type
      add_flags     (parser) adds its arguments
      run           (args) does the work and returns the exit status; None is 0
    and it may have:
      NOTES         a text between its flags and its examples
      HEAVY         names of modules that take long to import: imported just before run
      LEAST_MEMORY  how many bytes of address space they take, where not the program's least_memory
      split         (argv) returns the command's own words, and those for args.rest
    run also finds in args: command, its name; argv, its words as typed; program, this object;
    prog, how users call it. A UsageError of run gets the words "; see PROG --help".
    """

    name: str
    description: str
    commands: Mapping[str, tuple[str, str]]
    examples: str = ""
    loading: Callable[[], AbstractContextManager[None]] = nullcontext
    least_memory: int = 0

    def __post_init__(self) -> None:
        completion = {"completion": (f"ssd_common.completion:{self.name}", _COMPLETION)}
        object.__setattr__(self, "commands", {**self.commands, **completion})

    def main(self, argv: Sequence[str]) -> int:
        """Run the command that argv names and return its exit status.

        Raises CaffeError for a mistake of the user, UsageError for one in argv.
        """
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
        """Return what `--help` prints, a line for each command."""
        rows = [(name, what) for name, (_, what) in self.commands.items()]
        lines = ["commands:"]
        lines += [f"  {line}" for line in aligned(rows, left=2)]
        parts = [
            f"usage: {self.name} COMMAND [FLAGS]",
            self.description,
            "\n".join(lines),
            _examples(self.examples),
            f"{self.name} COMMAND --help lists a command's flags; "
            f"{self.name} --version says which version this is.",
        ]
        return "\n\n".join(part for part in parts if part)

    def parser(self, name: str) -> Parser:
        """Return a command's parser; imports the command's module."""
        return self._parser(name, self._command(name))

    def whole_parser(self) -> Parser:
        """Return one parser for all commands, for completion; imports all their modules.

        A command with missing packages has no flags in it.
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
        """Return the name of the command that a word means.

        Raises UsageError where there is none.
        """
        name = word.replace("-", "_")
        if name in self.commands:
            return name
        if word.startswith("-"):
            flag = word.split("=", maxsplit=1)[0]
            message = unknown_argument(flag, ("--help", "--version"))
            raise UsageError(with_help(message, self.name))
        raise UsageError(unknown_command("command", word, list(self.commands)))

    def _command(self, name: str) -> Any:
        path, _, word = self.commands[name][0].partition(":")
        with self.loading():
            module = importlib.import_module(path)
        if word:
            return module.command(word)
        return module

    def _parser(self, name: str, command: Any) -> Parser:
        parser = Parser(prog=f"{self.name} {name}", description=command.HELP)
        parser.epilog = epilog(getattr(command, "NOTES", ""), command.EXAMPLES)
        command.add_flags(parser)
        return parser

    def _run(self, name: str, argv: Sequence[str]) -> int:
        command = self._command(name)
        own = argv
        rest: Sequence[str] = []
        if hasattr(command, "split"):
            own, rest = command.split(argv)
        args = self._parser(name, command).parse_args(own)
        args.program = self
        args.command = name
        args.argv = own
        args.rest = rest
        image_limits.apply(args)
        modules = getattr(command, "HEAVY", ())
        if modules:
            require_address_space(getattr(command, "LEAST_MEMORY", self.least_memory))
        with self.loading():
            for heavy in modules:
                importlib.import_module(heavy)
        try:
            status = command.run(args)
        except UsageError as error:
            raise UsageError(with_help(str(error), args.prog)) from error
        return int(status or 0)


def epilog(notes: str, examples: str) -> str:
    """Return what a command's `--help` says below its flags.

    examples: lines that a user could type.
    """
    parts = (notes.strip(), _examples(examples))
    return "\n\n".join(part for part in parts if part)


def _examples(lines: str) -> str:
    """Examples under their heading, two columns in."""
    if not lines.strip():
        return ""
    text = textwrap.dedent(lines).strip("\n")
    return "examples:\n" + textwrap.indent(text, "  ")


def _not_loaded(prog: str, error: ImportError) -> str:
    """Say why a module does not load. Raises the error where the user cannot help it."""
    if isinstance(error, ModuleNotFoundError):
        return missing_package(prog, error)
    # What the system's loader says of a library that does not fit into memory.
    if "failed to map segment" in str(error):
        return f"out of memory ({error})"
    raise error


def run_command(
    prog: str,
    main: Callable[[Sequence[str]], int | None],
    argv: Sequence[str] | None = None,
) -> int:
    """Run a command's main(argv), and write an error as one line `prog: error: …` to stderr.

    argv: None: the process's own.
    Returns the exit status: what main returns, with 0 for None; 2 after a usage error; 1
    after any other; 130 after Ctrl-C.
    """
    if argv is None:
        argv = sys.argv[1:]
    status = 1
    try:
        return main(argv) or 0
    except UsageError as error:
        status = 2
        message = str(error)
    except CaffeError as error:
        message = str(error)
    except MemoryError:
        message = "out of memory"
    except ImportError as error:
        message = _not_loaded(prog, error)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        message = str(error)
        if error.filename:
            message = f"{error.filename}: {error.strerror}"
    except KeyboardInterrupt:
        sys.stderr.write(f"{prog}: interrupted\n")
        return 130
    # print() would write the line's end separately, and two processes' lines could mix.
    sys.stderr.write(f"{prog}: error: {message}\n")
    return status
