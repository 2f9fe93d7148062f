"""How errors read."""

from __future__ import annotations

from ssd_common.errors import LayerError, ParseError
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
