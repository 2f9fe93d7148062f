"""Flags in argparse's spelling and in gflags', choices, kinds of a command."""

from __future__ import annotations

import argparse

import pytest

from ssd_common.arguments import Parser, at_least, offer, positive, switch, with_help
from ssd_common.errors import UsageError


@pytest.fixture
def parser() -> Parser:
    parser = Parser(prog="tool")
    parser.add_argument("--max-iter", type=int)
    parser.add_argument("--gray", nargs="?", type=switch, const=True, default=False)
    parser.add_argument("-m", dest="module", action="store_true")
    parser.add_argument("--count", type=int, choices=(1, 20))
    parser.add_argument("--scale", type=float)
    parser.add_argument_group("work").add_argument("--batch", type=positive)
    parser.add_argument("--classes", type=at_least(2, ", background included"))
    parser.add_argument("files", nargs="*")
    return parser


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--max-iter 3", {"max_iter": 3}),
        ("-max_iter=3", {"max_iter": 3}),
        ("--max_iter=3", {"max_iter": 3}),
        ("--gray", {"gray": True}),
        ("-gray x", {"gray": True, "files": ["x"]}),
        ("--gray=false", {"gray": False}),
        ("--nogray", {"gray": False}),
        ("-m", {"module": True}),
        ("-- --max", {"files": ["--max"]}),
        ("--scale 0.5 --batch 2", {"scale": 0.5, "batch": 2}),
        ("--count 20", {"count": 20}),
        ("--classes 2", {"classes": 2}),
        ("", {"prog": "tool"}),
    ],
)
def test_spellings(parser: Parser, words: str, found: dict[str, object]) -> None:
    args = vars(parser.parse_args(words.split()))
    assert {name: args[name] for name in found} == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--max-itre 3",
            "unknown argument --max-itre (did you mean '--max-iter'?); see tool --help",
        ),
        ("--max", "unknown argument --max; see tool --help"),
        (
            "--count 2",
            "argument --count: '2' is not one of 1, 20 (did you mean '20'?); see tool --help",
        ),
        ("--count x", "argument --count: 'x' is not a whole number; see tool --help"),
        ("--scale x", "argument --scale: 'x' is not a number; see tool --help"),
        ("--scale nan", "argument --scale: 'nan' is not a finite number; see tool --help"),
        ("--scale inf", "argument --scale: 'inf' is not a finite number; see tool --help"),
        ("--batch 0", "argument --batch: '0' is not a positive whole number; see tool --help"),
        ("--batch x", "argument --batch: 'x' is not a positive whole number; see tool --help"),
        (
            "--classes 1",
            "argument --classes: '1' is not a whole number of at least 2, background included;"
            " see tool --help",
        ),
        ("--classes x", "argument --classes: 'x' is not a whole number; see tool --help"),
        ("--gray=maybe", "argument --gray: 'maybe' is neither true nor false; see tool --help"),
    ],
)
def test_wrong_words(parser: Parser, words: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parser.parse_args(words.split())
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("cocoo", "no kind 'cocoo' (did you mean 'coco'?)"),
        ("./x", "no kind './x' (it comes first, one of coco, voc)"),
        (
            "voc --dphet 3",
            "unknown argument --dphet (did you mean '--depth'?); see tool voc --help",
        ),
    ],
)
def test_kinds_of_a_command(words: str, said: str) -> None:
    parser = Parser(prog="tool")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind in ("coco", "voc"):
        kinds.add_parser(kind).add_argument("--depth")
    with pytest.raises(UsageError) as error:
        parser.parse_args(words.split())
    assert str(error.value) == said


def test_a_kind_is_part_of_the_command() -> None:
    parser = Parser(prog="tool paint")
    parser.add_subparsers(dest="kind", metavar="KIND").add_parser("wall")
    assert parser.parse_args(["wall"]).prog == "tool paint wall"


def test_where_to_read_more_is_said_once() -> None:
    said = with_help("--red excludes --blue", "tool paint")
    assert said == "--red excludes --blue; see tool paint --help"
    assert with_help(said, "tool") == said


def test_words_come_from_the_command_line(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tool", "-max_iter=5"])
    assert parser.parse_args().max_iter == 5


def test_the_hook_is_argparses() -> None:
    """Parser overrides a private method of argparse: should a Python rename it, this fails."""
    assert callable(argparse.ArgumentParser._check_value)  # type: ignore[attr-defined]


def test_help_lists_offered_words_when_it_is_written() -> None:
    words: list[str] = []
    parser = Parser(prog="p")
    offer(parser.add_argument("--colour", help="of the net"), lambda: words, in_help=True)
    offer(parser.add_argument("--shape", help="of the input"), lambda: ["round"])
    words += ["red", "blue"]
    for _ in range(2):
        text = parser.format_help()
        assert "of the net: red, blue\n" in text
        assert "of the input\n" in text
