"""Wrong usage, in one manner everywhere: exit status 2, and one line that says what helps."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import data_prep.cli
import netgen.cli
import netrun.cli
from data_prep.sources import KINDS
from ssd_common.arguments import Parser
from ssd_common.command import Program, run_command

CLIS = (netgen.cli, data_prep.cli, netrun.cli)
MAINS = {cli.PROGRAM.name: cli.main for cli in CLIS}
PROGRAMS = [cli.PROGRAM for cli in CLIS]

SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "s"'
NET = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }'

# What no parser alone can tell. A line is what a user types.
TYPED = """
netgen bild
netgen --versoin
netgen help bild
netgen build ssd300 ssd512
netgen build ssd300 --batch 0
netgen build ssd300 --batch -1
netgen build ssd300 --batch-per-gpu 0
netgen build ssd300 --iters 0
netgen build ssd300 --classes 1
netgen build ssd300 --size 0
netgen build ssd300 --size 0x300
netgen build ssd300 --size 300x
netgen build ssd300 --gpus one
netgen build ssd300 --gpus 0,0
netgen build ssd300 --backbone vgg61
netgen card ssd300 ssd512
netgen diff ssd300
netgen completion bash zsh

data_prep vco
data_prep voc . --out x --classes a,,b
data_prep voc nowhere --out x --classes a,a
data_prep voc . --out x --test-share 2
data_prep voc . --out x --train-list a
data_prep voc . --out x --list a --train-list b --test-list c
data_prep voc . --out x --test-share 0.5 --train-list b --test-list c
data_prep voc . --out x --keep-empty --drop-empty
data_prep voc . --out x --encode-type jpgg
data_prep voc . --out x --min-dim -1
data_prep voc . --out x --resize-width 300
data_prep voc . --out x --resize-width 300 --resize-height 300 --max-dim 300
data_prep voc . --out x --backend leveldb
data_prep voc . --out x --anno-type classification
data_prep voc . --out x --workers 0
data_prep voc . --out x --shards 0
data_prep voc . --out x --gray=maybe
data_prep annoset . --out x --label-type json
data_prep annoset . --out x --label-type txt
data_prep annoset . --out x --label-type txt --labelmap voc
data_prep check vco
data_prep check nothing_like_it
data_prep check annoset . --label-type json
data_prep check annoset . --label-type txt
data_prep check voc . --classes a,,b
data_prep check voc . --train-list a
data_prep fetch vco
data_prep fetch voc2007 coco2107
data_prep paper voc071 .
data_prep paper voc0712 . --workers 0
data_prep paper voc0712 . --seed x
data_prep shapes --out x --train 0
data_prep shapes --out x --size 63
data_prep shapes --out x --seed -1
data_prep show . --out x.gif
data_prep show . --out x.jpg --augmented net.prototxt
data_prep show / --out x.png
data_prep show . --out x.png --count 0
data_prep stats vco
data_prep stats lmdb . --out x.gif
data_prep stats voc . --out x.gif
data_prep stats voc . --classes a,,b
data_prep verify a b
data_prep export a --format vco --out x
data_prep formats vco
data_prep export . ../.. --format voc

netrun tran
netrun train --solver solver.prototxt --gpu x
netrun train --solver solver.prototxt --gpu 0 --cpu
netrun train --solver solver.prototxt --weights a --snapshot b
netrun train --solver nowhere --weights a --snapshot b
netrun train --solver solver.prototxt --threads 0
netrun train --solver solver.prototxt --minloglevel all
netrun train --solver solver.prototxt --logtostderr=3
netrun test --model net.prototxt --weights x --gpu x
netrun test --model net.prototxt --weights x --gpu 0 --cpu
netrun test --model net.prototxt --weights x --iterations 0
netrun detect --model net.prototxt --weights x . --gpu x
netrun detect --model nowhere --weights x . --mean-value a
netrun detect --model nowhere --weights x . --threshold a
netrun detect --model nowhere --weights x . --batch 0
netrun time --model net.prototxt --gpu 0,x
netrun time --model net.prototxt --iterations 0
netrun show --model net.prototxt --out x.png --count 0
netrun status . --json --print state
netrun weights lst
netrun weights list
netrun weights list a b
netrun weights diff a
netrun weights convert a
netrun weights convert --out b
netrun weights fit --model net.prototxt
netrun weights fit a --model net.prototxt --weights b --out c
netrun weights fit --model net.prototxt --weights b --out c --rename fc6
netrun python -m
netrun device_query --gpu x
netrun device_query 0
"""


def with_those_below(words: list[str], parser: Parser) -> Iterator[tuple[list[str], Parser]]:
    """A command's words and parser, or those of all its kinds."""
    kinds = [action for action in parser._actions if action.nargs == argparse.PARSER]
    if not kinds:
        yield words, parser
    for action in kinds:
        yield words, parser
        for name, below in (action.choices or {}).items():
            yield from with_those_below([*words, name], below)


def mistakes(words: list[str], parser: Parser) -> Iterator[list[str]]:
    """What its parser refuses: an unknown flag, nothing at all, flags without or with bad words."""
    if parser._subparsers:
        yield words
        return
    yield [*words, "--no-such-flag"]
    if any(action.required for action in parser._actions):
        yield words
    for action in parser._actions:
        for flag in action.option_strings[-1:]:
            if action.nargs is None:
                yield [*words, flag]
            if action.choices:
                yield [*words, flag, f"{next(iter(action.choices))}x"]
            if is_no_word_for(action, "x"):
                yield [*words, f"{flag}=x"]


def is_no_word_for(action: argparse.Action, word: str) -> bool:
    """Whether an argument's type refuses a word."""
    if not callable(action.type):
        return False
    try:
        action.type(word)
    except (argparse.ArgumentTypeError, ValueError):
        return True
    return False


def parsed(program: Program) -> list[list[str]]:
    """Mistakes that the parsers of a program's commands refuse, as words."""
    found = []
    for name in program.commands:
        for words, parser in with_those_below([name], program.parser(name)):
            found += mistakes(words, parser)
    return found


def refusal(capsys: pytest.CaptureFixture[str], prog: str, words: list[str]) -> str:
    """What a program says to wrong words, without its name; it exits with 2 and prints no more."""
    assert run_command(prog, MAINS[prog], words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{prog}: error: ")
    assert err.count("\n") == 1
    return err.removeprefix(f"{prog}: error: ").rstrip("\n")


def place(program: str, words: list[str]) -> str:
    """Whose help an error names: that of the command, and of its kind where it has kinds."""
    count = 1
    if words[0] in ("check", "stats") and program == "data_prep":
        count = 2
    return " ".join([program, *words[:count]])


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver, a net and a folder of nothing else. There is no GPU."""
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/1.xml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.mark.parametrize("line", [line for line in TYPED.splitlines() if line])
def test_what_a_user_types(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(line)
    said = refusal(capsys, program, words)
    helps = (f"; see {place(program, words)} --help", f"; see {program} --help", "'?)")
    assert said.endswith(helps) or ", one of " in said, said
    left = sorted(path.name for path in Path().iterdir())
    assert left == ["Annotations", "net.prototxt", "solver.prototxt"]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_flag_of_every_command(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    for words in parsed(program):
        said = refusal(capsys, program.name, words)
        assert f"; see {program.name} {words[0]}" in said, words
        assert said.endswith(" --help"), words


def test_every_command_has_its_lines() -> None:
    """But for those whose parsers refuse all that can be wrong, and kinds that are built alike."""
    lines = [line.split()[:2] for line in TYPED.splitlines() if line]
    alike = set(KINDS) - {"voc", "annoset"}
    parsers_alone = {"list", "summary", "check", "plot", "completion"}
    for program in PROGRAMS:
        typed = {command for name, command in lines if name == program.name}
        assert set(program.commands) - typed <= alike | parsers_alone
