"""A program of three commands, whose modules are written for the test."""

from __future__ import annotations

import dataclasses
import resource
import sys
from pathlib import Path

import pytest

from ssd_common.command import Program, run_command
from ssd_common.errors import CaffeError, UsageError
from ssd_common.version import __version__

PAINT = '''
HELP = "Paint a wall."
EXAMPLES = """
    tool paint north --colour red
    tool paint south"""
NOTES = "A wall is painted once."
HEAVY = ("tool_heavy",)

from ssd_common.errors import UsageError


def add_flags(parser):
    parser.add_argument("wall", choices=("north", "south"))
    parser.add_argument("--colour")


def run(args):
    if args.colour == "none":
        raise UsageError("--colour none: leave it out")
    print(args.command, args.argv, args.wall, args.colour, args.rest)
'''
HAND_ON = """
HELP = "Run something else."
EXAMPLES = "tool hand_on it --its-own"


def add_flags(parser):
    parser.add_argument("what")


def split(argv):
    return argv[:1], argv[1:]


def run(args):
    print(args.what, args.rest)
    return 7
"""
FAMILY = """
class Wash:
    HELP = "Wash it."
    EXAMPLES = "tool cup"

    def __init__(self, what):
        self.what = what

    def add_flags(self, parser):
        pass

    def run(self, args):
        print("washed", self.what)


command = Wash
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    for name, text in {"paint": PAINT, "hand_on": HAND_ON, "family": FAMILY, "heavy": ""}.items():
        (tmp_path / f"tool_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("tool_")]:
        monkeypatch.delitem(sys.modules, name)
    return Program(
        name="tool",
        description="Keeps a house.",
        commands={
            "paint": ("tool_paint", "paint a wall"),
            "hand_on": ("tool_hand_on", "run something else"),
            "cup": ("tool_family:cup", "wash a cup"),
        },
        examples="\n    tool paint north",
    )


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["-help"], ["help"]])
def test_help_lists_the_commands_and_imports_none(tool: Program, argv: list[str], capsys) -> None:
    assert tool.main(argv) == 0
    assert (
        capsys.readouterr().out
        == """usage: tool COMMAND [FLAGS]

Keeps a house.

commands:
  paint       paint a wall
  hand_on     run something else
  cup         wash a cup
  completion  print a script that lets bash, zsh or fish complete commands and flags

examples:
  tool paint north

tool COMMAND --help lists a command's flags; tool --version says which version this is.
"""
    )
    assert not [name for name in sys.modules if name.startswith("tool_")]


def test_version(tool: Program, capsys) -> None:
    assert tool.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tool {__version__}\n"


@pytest.mark.parametrize("argv", [["paint", "--help"], ["help", "paint"], ["paint", "-h"]])
def test_help_of_a_command(tool: Program, argv: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as end:
        tool.main(argv)
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: tool paint ")
    assert out.endswith("""
A wall is painted once.

examples:
  tool paint north --colour red
  tool paint south
""")
    assert "tool_heavy" not in sys.modules
    assert "tool_hand_on" not in sys.modules


def test_a_command_runs(tool: Program, capsys) -> None:
    assert tool.main(["paint", "north", "-colour=red"]) == 0
    assert capsys.readouterr().out == "paint ['north', '-colour=red'] north red []\n"
    assert "tool_heavy" in sys.modules


def test_a_command_hands_words_on(tool: Program, capsys) -> None:
    """Its name may be typed with a dash, too."""
    assert tool.main(["hand-on", "it", "--its-own"]) == 7
    assert capsys.readouterr().out == "it ['--its-own']\n"


def test_a_family_of_commands(tool: Program, capsys) -> None:
    assert tool.main(["cup"]) == 0
    assert capsys.readouterr().out == "washed cup\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("pant north", "no command 'pant' (did you mean 'paint'?)"),
        ("xyz", "no command 'xyz' (one of paint, hand_on, cup, completion)"),
        ("--versoin", "unknown argument --versoin (did you mean '--version'?); see tool --help"),
        (
            "paint north --color=red",
            "unknown argument --color (did you mean '--colour'?); see tool paint --help",
        ),
        (
            "paint nroth",
            "argument wall: 'nroth' is not one of north, south (did you mean 'north'?);"
            " see tool paint --help",
        ),
        ("paint", "the following arguments are required: wall; see tool paint --help"),
        ("paint north --colour none", "--colour none: leave it out; see tool paint --help"),
        ("paint north west", "unexpected argument 'west'; see tool paint --help"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_status_2(
    tool: Program, argv: str, said: str, capsys
) -> None:
    assert run_command("tool", tool.main, argv.split()) == 2
    assert capsys.readouterr().err == f"tool: error: {said}\n"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CaffeError("not so"), 1, "tool: error: not so\n"),
        (UsageError("not like that"), 2, "tool: error: not like that\n"),
        (FileNotFoundError(2, "No such file", "x"), 1, "tool: error: x: No such file\n"),
        (OSError("odd"), 1, "tool: error: odd\n"),
        (MemoryError(), 1, "tool: error: out of memory\n"),
        (
            ImportError("cv2.so: failed to map segment from shared object"),
            1,
            "tool: error: out of memory (cv2.so: failed to map segment from shared object)\n",
        ),
        (KeyboardInterrupt(), 130, "tool: interrupted\n"),
    ],
)
def test_how_a_command_ends(error: BaseException, status: int, said: str, capsys) -> None:
    def main(argv: object) -> int:
        raise error

    assert run_command("tool", main, []) == status
    assert capsys.readouterr().err == said


def test_a_commands_own_status() -> None:
    assert run_command("tool", len, ["x", "y"]) == 2
    assert run_command("tool", lambda argv: None, []) == 0


def test_libraries_are_not_loaded_where_they_would_crash(
    tool: Program, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    large = dataclasses.replace(tool, least_memory=1 << 30)
    limits = {"soft": (1 << 30) - 1}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits["soft"], -1))
    assert run_command("tool", large.main, ["paint", "north"]) == 1
    words = "the libraries take 1.0 GiB, ulimit -v allows 1024 MiB"
    assert capsys.readouterr().err == f"tool: error: out of memory: {words}\n"
    assert "tool_heavy" not in sys.modules
    assert run_command("tool", large.main, ["hand_on", "it"]) == 7
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["tool_paint"], "LEAST_MEMORY", 1 << 28, raising=False)
        assert run_command("tool", large.main, ["paint", "north"]) == 0
    for enough in (1 << 30, resource.RLIM_INFINITY):
        limits["soft"] = enough
        assert run_command("tool", large.main, ["paint", "north"]) == 0
