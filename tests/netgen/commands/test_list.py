"""`netgen list`: the detectors that it shows."""

from __future__ import annotations

import pytest

from netgen.cli import main
from netgen.zoo.registry import entries
from ssd_common.errors import CaffeError


def ids(capsys: pytest.CaptureFixture[str], *patterns: str) -> list[str]:
    """The ids of `netgen list PATTERN …`."""
    main(["list", *patterns])
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "input", "what"]
    return [line.split()[0] for line in lines]


def test_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert ids(capsys) == list(entries())


def test_a_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    found = ids(capsys, "dssd*")
    assert found == [zoo_id for zoo_id in entries() if zoo_id.startswith("dssd")]
    assert len(found) > 3
    assert ids(capsys, "ppn300_coco") == ["ppn300_coco"]


def test_patterns_in_the_order_of_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    found = ids(capsys, "ppn300_coco", "ssd300_coco", "ssd30?_coco")
    assert found == ["ssd300_coco", "ppn300_coco"]


def test_no_match() -> None:
    with pytest.raises(CaffeError, match=r"no detector matches 'yolo\*'"):
        main(["list", "ssd*", "yolo*"])
