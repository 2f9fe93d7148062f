"""check: every kind of wrong box by its line, and what --fix makes of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from data_prep.checks.item_checks import Rules, examine
from data_prep.sources.source import Annotation, Object
from tests.data_prep.checks.spoiling import BOX, BOXES, OBJECT, USUAL, change, check


@pytest.mark.parametrize("name", BOXES)
def test_bad_box(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    box, heading, said, mended = BOXES[name]
    change(folder, USUAL, BOX.format(*box))
    line = f"    {folder}/Annotations/1.xml:5: box {' '.join(map(str, box))} of 'cat' {said}"
    error = name in ("normalised", "beyond_1")
    assert check(folder) == error
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "voc: 3 images; 3 objects: cat 3"
    assert shown[1].startswith("errors:" if error else "warnings")
    assert shown[2].startswith(f"  {heading}: 1")
    assert shown[3:] == [line]
    for fix, done in (("clip", mended), ("drop", "left out" if mended else None)):
        assert check(folder, "--fix", fix, "--strict") == (not done)
        shown = capsys.readouterr().out.splitlines()
        assert shown[1].startswith("mended" if done else "warnings")
        assert shown[3] == (f"{line}: {done}" if done else line)
        assert (shown[4:6] == ["notes:", "  images without objects: 1"]) == (done == "left out")


def test_objects_that_are_there_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, OBJECT, f"{OBJECT}\n  {OBJECT}")
    assert check(folder) == 0
    line = f"    {folder}/Annotations/1.xml:9: box 4 5 20 25 of 'cat' is there twice"
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  objects that are there twice: 1 (--fix clip|drop leaves out the object)",
        line,
    ]
    assert check(folder, "--fix", "clip") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "voc: 3 images; 3 objects: cat 3"
    assert shown[-1] == f"{line}: left out"


def test_one_normalised_box_among_others_is_small(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder, OBJECT, f"{OBJECT}\n  {OBJECT.replace(USUAL, BOX.format(0.25, 0.5, 0.75, 1))}")
    assert check(folder) == 0
    assert (
        "  boxes less than a pixel wide or high: 1 (--fix clip|drop leaves out the object)"
        in capsys.readouterr().out.splitlines()
    )


def any_number(draw: random.Random, top: float) -> float:
    """A number of one of three kinds: fractional, whole, or whole and within the image (pixels)."""
    return draw.choice([draw.uniform(-9, top), draw.randint(-9, 99), draw.randint(0, 40)])


def test_what_is_mended_needs_no_more_mending() -> None:
    """Random boxes of every kind: none raises, and nothing that --fix leaves is wrong."""
    draw = random.Random(0)
    kinds: set[str] = set()
    for _ in range(400):
        top = draw.choice([1.2, 30, 100])
        numbers = [any_number(draw, top) for _ in range(24)]
        if top < 2:
            numbers = [draw.uniform(-0.2, top) for _ in range(24)]
        corners = [numbers[at : at + 4] for at in range(0, 24, 4)]
        objects = [
            Object("cat", False, *box, line) for line, box in enumerate([*corners, corners[0]])
        ]
        for fix in (None, "clip", "drop"):
            rules = Rules({"cat": 1}, "map", fix)
            mended, faults = examine(Annotation(64, 48, objects), "file", 64, 48, rules)
            kinds.update(f.kind for f in faults)
            if fix:
                again = examine(mended, "file", 64, 48, rules)
                assert again[0] == mended
                assert {f.kind for f in again[1]} <= {"fraction", "no-objects"}
                assert {f.severity for f in faults} <= {"mended", "warning", "note"}
            else:
                assert mended.objects == objects
    assert kinds == {
        "normalised",
        "outside",
        "inverted",
        "empty",
        "sub-pixel",
        "duplicate",
        "fraction",
        "no-objects",
    }


def test_boxes_that_are_one_once_cut() -> None:
    objects = [Object("cat", False, 4, 5, right, 25, right) for right in (80, 64, 90, 70)]
    mended, faults = examine(
        Annotation(64, 48, objects), "file", 64, 48, Rules({"cat": 1}, "map", "clip")
    )
    assert mended.objects == [objects[0]._replace(xmax=64)]
    assert [f.mended for f in faults] == ["cut to 4 5 64 25", "left out", "left out", "left out"]
