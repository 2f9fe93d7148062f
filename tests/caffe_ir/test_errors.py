"""How errors read, and how a command prints them."""

from __future__ import annotations

import errno

import pytest

from ssd_common.command import run_command
from ssd_common.errors import CaffeError, LayerError, ParseError
from ssd_common.suggest import suggest


def test_places() -> None:
    assert str(ParseError("a.txt", "is empty")) == "a.txt: is empty"
    assert str(ParseError("a.txt", "no", 3)) == "a.txt:3: no"
    assert str(ParseError("a.txt", "no", 3, 4)) == "a.txt:3:4: no"
    assert str(LayerError("conv", "no", "pad")) == "layer 'conv', pad: no"
    assert str(LayerError("conv", "no")) == "layer 'conv': no"


def test_suggestions() -> None:
    assert suggest("num_ouput", ["num_output", "pad"]) == " (did you mean 'num_output'?)"
    assert suggest("convolution", ["Convolution"]) == " (did you mean 'Convolution'?)"
    assert suggest("xyz", ["num_output"]) == ""
    assert suggest("--dateset", ["--dataset"]) == " (did you mean '--dataset'?)"
    assert suggest("--gpus", ["--phase"]) == "", "two dashes are no likeness"


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (CaffeError("a.txt: is empty"), 1, "prog: error: a.txt: is empty\n"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.txt"), 1, "prog: error: a.txt: No such file\n"),
        (KeyboardInterrupt(), 130, "prog: interrupted\n"),
    ],
)
def test_commands_end_with_one_line(raised: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    def main(argv: object) -> None:
        raise raised

    assert run_command("prog", main, []) == status
    assert capsys.readouterr().err == said


def test_a_commands_own_status() -> None:
    assert run_command("prog", len, ["x", "y"]) == 2
    assert run_command("prog", lambda argv: None, []) == 0
