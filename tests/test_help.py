"""`--help` of every program and command: quick, in one form, with examples that are its own."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

import data_prep.cli
import netgen.cli
import netrun.cli
from ssd_common.arguments import Parser
from tests.support import ROOT

PROGRAMS = [netgen.cli.PROGRAM, data_prep.cli.PROGRAM, netrun.cli.PROGRAM]
COMMANDS = [(program, name) for program in PROGRAMS for name in program.commands]
SLOW = (
    "cv2",
    "datumaro",
    "google",
    "h5py",
    "lmdb",
    "matplotlib",
    "numpy",
    "pooch",
    "pycocotools",
    "requests",
    "shtab",
    "torch",
    "yaml",
)
# Prints the slow packages that importing a program and building the parsers of its commands loads.
LOADED = """
import importlib, sys
program = importlib.import_module(sys.argv[1] + ".cli").PROGRAM
for name in program.commands:
    program.parser(name)
    found = [slow for slow in sys.argv[2:] if slow in sys.modules]
    if found:
        sys.exit(f"{name}: {', '.join(found)}")
"""


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_help_loads_nothing_slow(program) -> None:
    argv = [sys.executable, "-c", LOADED, program.name, *SLOW]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("program", "name"), COMMANDS, ids=[f"{program.name}-{name}" for program, name in COMMANDS]
)
def test_help_of_a_command(program, name: str) -> None:
    text = program.parser(name).format_help()
    assert text.startswith(f"usage: {program.name} {name} ")
    examples = text.partition("\nexamples:\n")[2].splitlines()
    assert any(f"{program.name} {name}" in line for line in examples)


@pytest.mark.parametrize(
    ("program", "name"), COMMANDS, ids=[f"{program.name}-{name}" for program, name in COMMANDS]
)
def test_help_explains_no_flag_of_another_command(program, name: str) -> None:
    for parser in with_those_below(program.parser(name)):
        known = set(parser._option_string_actions)
        known |= {flag.replace("--", "--no", 1) for flag in known}
        said = " ".join(action.help or "" for action in parser._actions)
        assert set(re.findall(r"--[a-z][\w-]*", said)) <= known, parser.prog


@pytest.mark.parametrize(
    ("program", "name"), COMMANDS, ids=[f"{program.name}-{name}" for program, name in COMMANDS]
)
def test_help_says_first_what_a_command_does(program, name: str) -> None:
    """In words that could go on: no capital but of a name, nothing at the end, and nothing cut."""
    for parser in with_those_below(program.parser(name)):
        said = parser.description
        assert said[-1].isalnum() or said[-1] == ")", said
        first = said.split()[0]
        assert first == first.lower() or first == "COCO's", said


def with_those_below(parser: Parser) -> Iterator[Parser]:
    """A command's parser, and those of its kinds."""
    yield parser
    for action in parser._actions:
        if action.nargs == argparse.PARSER:
            for below in action.choices.values():
                yield from with_those_below(below)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_help_of_a_program_fits_a_screen(program) -> None:
    """Its lines break nowhere on a terminal of 120 columns."""
    assert max(map(len, program.help().splitlines())) <= 120
