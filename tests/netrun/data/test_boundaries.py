"""Comparisons of the augmentation where both sides are equal float32 numbers.

Expected is what the fork decides: SatisfySampleConstraint in sampler.cpp and MeetEmitConstraint in
bbox_util.cpp of weiliu89/caffe (ssd).
"""

from __future__ import annotations

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.data.boxes import project
from netrun.data.sampler import BatchSamplers
from tests.netrun.data.augmentation import RNG, objects

WHOLE = (0.0, 0.0, 1.0, 1.0)


def beside(value: float, way: float) -> float:
    """The next float32 above (way 2) or below (way 0)."""
    return float(np.nextafter(np.float32(value), np.float32(way)))


# The window is the whole image, the object its left half: of the union and of the window it covers
# .5, of itself 1.
@pytest.mark.parametrize(
    ("kind", "part"), [("jaccard_overlap", 0.5), ("sample_coverage", 0.5), ("object_coverage", 1.0)]
)
def test_a_window_that_just_meets_its_constraint_is_taken(kind: str, part: float) -> None:
    """`min <= part <= max`."""

    def window(limit: str, value: float) -> tuple[float, ...] | None:
        words = f"sample_constraint {{ {limit}_{kind}: {value!r} }} max_trials: 1"
        samplers = BatchSamplers([text.parse(words, pb.BatchSampler)])
        return samplers.window(objects((0.0, 0.0, 0.5, 1.0)), RNG(0))

    assert window("min", part) == WHOLE
    assert window("min", beside(part, 2)) is None
    assert window("max", part) == WHOLE
    assert window("max", beside(part, 0)) is None


# Objects whose centre is (.5, .5), exactly, in windows that have it on one side.
@pytest.mark.parametrize(
    ("window", "outside"),
    [
        ((0.5, 0.0, 1.0, 1.0), (beside(0.5, 2), 0.0, 1.0, 1.0)),
        ((0.0, 0.5, 1.0, 1.0), (0.0, beside(0.5, 2), 1.0, 1.0)),
        ((0.0, 0.0, 0.5, 1.0), (0.0, 0.0, beside(0.5, 0), 1.0)),
        ((0.0, 0.0, 1.0, 0.5), (0.0, 0.0, 1.0, beside(0.5, 0))),
    ],
)
def test_an_object_whose_centre_is_on_the_windows_edge_stays(
    window: tuple[float, float, float, float], outside: tuple[float, float, float, float]
) -> None:
    """`xmin <= x <= xmax` and `ymin <= y <= ymax`."""
    emit = pb.EmitConstraint(emit_type=pb.EmitConstraint.CENTER)
    found = objects((0.25, 0.25, 0.75, 0.75))
    assert len(project(found, window, emit)) == 1
    assert len(project(found, outside, emit)) == 0


def test_an_object_that_is_inside_by_emit_overlap_goes() -> None:
    """`part > emit_overlap`: half of the object is inside."""
    found = objects((0.25, 0.25, 0.75, 0.75))
    for emit_overlap, kept in ((0.5, 0), (beside(0.5, 0), 1)):
        emit_type = pb.EmitConstraint.MIN_OVERLAP
        emit = pb.EmitConstraint(emit_type=emit_type, emit_overlap=emit_overlap)
        assert len(project(found, (0.0, 0.0, 0.5, 1.0), emit)) == kept
