from __future__ import annotations

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.data.boxes import mirrored, project
from netrun.data.expand import Rect, turned
from netrun.data.resize import Resize, scaled
from ssd_common.errors import CaffeError
from tests.netrun.data.augmentation import RNG, objects, run
from tests.netrun.data.records import pixels


def test_project_by_hand() -> None:
    """Window 0.5 .. 1 across, 0 .. 0.5 down: (0.6 - 0.5) / 0.5 = 0.2 and so on.

    The second object lies beside it, the third touches it.
    """
    found = objects((0.6, 0.1, 1.0, 0.7), (0.1, 0.1, 0.4, 0.4), (0.2, 0.0, 0.5, 0.5))
    kept = project(found, (0.5, 0.0, 1.0, 0.5), None)
    np.testing.assert_allclose(kept.boxes, [[0.2, 0.2, 1.0, 1.0]], atol=1e-6)
    assert kept.ids.tolist() == [[1, 0, 0]]
    assert len(project(objects(), (0, 0, 1, 1), pb.EmitConstraint())) == 0


@pytest.mark.parametrize(
    ("emit", "kept"),
    [
        ("CENTER", [1, 2]),
        ("MIN_OVERLAP emit_overlap: 0.5", [1]),
        ("MIN_OVERLAP emit_overlap: 0.2", [1, 2, 3]),
    ],
)
def test_emit_constraints(emit: str, kept: list[int]) -> None:
    """The left half of the image holds object 1, just half of 2, and a quarter of 3.

    The centre of 2 lies on the edge.
    """
    found = objects((0.1, 0.1, 0.3, 0.3), (0.25, 0.25, 0.75, 0.75), (0.375, 0.25, 0.875, 0.75))
    assert (
        project(found, (0.0, 0.0, 0.5, 1.0), text.parse(f"emit_type: {emit}", pb.EmitConstraint))
        .ids[:, 0]
        .tolist()
        == kept
    )


def test_mirrored_by_hand() -> None:
    np.testing.assert_allclose(
        mirrored(objects((0.1, 0.2, 0.4, 0.6))).boxes, [[0.6, 0.2, 0.9, 0.6]], atol=1e-6
    )


@pytest.mark.parametrize(
    ("mode", "old", "size", "box"),
    [  # a box of 0.25 .. 0.5 across and 0.5 .. 1 down
        ("WARP", (80, 60), (40, 40), (0.25, 0.5, 0.5, 1)),
        # 80 x 60 fits 40 x 40 as 40 x 30, with 5 above and below: (5 + 0.5 * 30) / 40 = 0.5, (5 +
        # 30) / 40 = 0.875
        ("FIT_LARGE_SIZE_AND_PAD", (80, 60), (40, 40), (0.25, 0.5, 0.5, 0.875)),
        # 60 x 80 fits as 30 x 40, with 5 left and right: (5 + 0.25 * 30) / 40 = 0.3125, (5 + 15) /
        # 40 = 0.5
        ("FIT_LARGE_SIZE_AND_PAD", (60, 80), (40, 40), (0.3125, 0.5, 0.5, 1)),
        ("FIT_SMALL_SIZE", (80, 60), (53, 40), (0.25, 0.5, 0.5, 1)),
        ("FIT_SMALL_SIZE", (60, 80), (40, 53), (0.25, 0.5, 0.5, 1)),
    ],
)
def test_resize_modes(
    mode: str, old: tuple[int, int], size: tuple[int, int], box: tuple[float, ...]
) -> None:
    prototxt = (
        f"resize_param {{ resize_mode: {mode} width: 40 height: 40 pad_value: 7 "
        f"pad_value: 8 pad_value: 9 }}"
    )
    out, kept = run(
        prototxt, np.full((old[1], old[0], 3), 200, np.uint8), objects((0.25, 0.5, 0.5, 1))
    )
    assert (out.shape[1], out.shape[0]) == size
    np.testing.assert_allclose(kept.boxes, [box], atol=1e-6)
    padded = (out == (7, 8, 9)).all(2)
    assert padded.sum() == (10 * 40 if mode == "FIT_LARGE_SIZE_AND_PAD" else 0)
    assert (out[~padded] == 200).all()


def test_padding_lies_on_both_sides_of_a_side_rounded_down() -> None:
    """60 x 40 fits 40 x 41 as 40 x 26.67: 26 rows, and of 15 spare ones 7 above and 8 below.

    40 x 60 fits 41 x 40 alike, with columns. FIT_SMALL_SIZE to 40 x 41 makes 61.5 x 41: 61 columns.
    """
    fit = "resize_param {{ resize_mode: FIT_LARGE_SIZE_AND_PAD width: {} height: {} pad_value: 7 }}"
    flat, _ = run(fit.format(40, 41), np.full((40, 60, 3), 200, np.uint8), objects())
    assert (flat[:, 0, 0] == 200).tolist() == [False] * 7 + [True] * 26 + [False] * 8
    high, _ = run(fit.format(41, 40), np.full((60, 40, 3), 200, np.uint8), objects())
    assert (high[0, :, 0] == 200).tolist() == [False] * 7 + [True] * 26 + [False] * 8
    cover = "resize_param { resize_mode: FIT_SMALL_SIZE width: 40 height: 41 }"
    assert run(cover, np.zeros((40, 60, 3), np.uint8), objects())[0].shape == (41, 61, 3)


@pytest.mark.parametrize(
    "interpolation",
    [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4],
)
def test_scaled_without_the_empty_part(interpolation: int) -> None:
    """An image at the upper left of one colour, down to nothing and up to all of it, scaled down
    and up.
    """
    draw, differing = RNG(interpolation), 0
    for _ in range(120):
        width, height = draw.integers(20, 400, 2).tolist()
        end = (int(draw.integers(width + 1)), int(draw.integers(height + 1)))
        image = np.full((height, width, 3), (104, 117, 123), np.uint8)
        image[: end[1], : end[0]] = draw.integers(0, 256, (end[1], end[0], 3))
        whole = cv2.resize(image, (90, 90), interpolation=interpolation)
        difference = np.abs(scaled(image, (90, 90), interpolation, end).astype(int) - whole)
        assert difference.max() <= 1
        differing += (difference > 0).sum()
    assert differing < 0.001 * 120 * whole.size


def test_a_canvas_turned_round() -> None:
    """80 x 60 at (70, 10) of 200 x 100: 70 left, 50 right, 10 above, 30 below.

    AREA of it, turned round or not, is the same.
    """
    assert turned(Rect(70, 10, 80, 60), 200, 100) == (Rect(50, 10, 80, 60), 1)
    assert turned(Rect(50, 30, 80, 60), 200, 100) == (Rect(50, 10, 80, 60), 0)
    assert turned(Rect(50, 10, 80, 60), 200, 100) == (Rect(50, 10, 80, 60), None)
    resize, draw, differing, flips = (
        Resize(pb.ResizeParameter(width=90, height=70)),
        RNG(0),
        0,
        set(),
    )
    for _ in range(120):
        width, height, wide, high = draw.integers((100, 100, 20, 20), (400, 400, 100, 100)).tolist()
        place = Rect(
            int(draw.integers(width - wide + 1)), int(draw.integers(height - high + 1)), wide, high
        )
        image = np.full((height, width, 3), (104, 117, 123), np.uint8)
        place.of(image)[:] = draw.integers(0, 256, (high, wide, 3))
        moved, flip = turned(place, width, height)
        flips.add(flip)
        canvas = image if flip is None else cv2.flip(image, flip)
        out = resize(canvas, cv2.INTER_AREA, (moved.left + wide, moved.top + high), flip)
        difference = np.abs(
            out.astype(int) - cv2.resize(image, (90, 70), interpolation=cv2.INTER_AREA)
        )
        assert difference.max() <= 1
        differing += (difference > 0).sum()
    assert flips == {None, -1, 0, 1}
    assert differing < 0.0001 * 120 * out.size
    assert [
        resize.symmetric(cv2.INTER_AREA, *size) for size in ((90, 70), (89, 80), (100, 69))
    ] == [True, False, False]
    assert not resize.symmetric(cv2.INTER_NEAREST, 200, 200)


def test_fit_small_size_extrapolates() -> None:
    """80 x 60 becomes 53.33 x 40 by its shorter side.

    Relative to 20 x 10: 0.3 * 53.33 / 20 = 0.8, 0.2 * 40 / 10 = 0.8.
    """
    prototxt = (
        "resize_param { resize_mode: FIT_SMALL_SIZE width: 40 height: 40 width_scale: 20 "
        "height_scale: 10 }"
    )
    _, kept = run(prototxt, pixels(), objects((0, 0, 0.3, 0.2)))
    np.testing.assert_allclose(kept.boxes, [[0, 0, 0.8, 0.8]], atol=1e-6)
    with pytest.raises(CaffeError, match="width_scale"):
        run(prototxt.replace("20", "60"), pixels(), objects((0, 0, 0.3, 0.2)))


def test_crop_in_the_middle_and_at_random() -> None:
    image = pixels(60, 80)
    out, kept = run("crop_h: 20 crop_w: 40", image, objects((0.25, 0.25, 0.75, 0.5)))
    np.testing.assert_array_equal(out, image[20:40, 20:60])
    # 20 .. 60 across is the window; 15 .. 30 of 20 .. 40 down: 0 .. 0.5
    np.testing.assert_allclose(kept.boxes, [[0, 0, 1, 0.5]], atol=1e-6)
    np.testing.assert_array_equal(run("crop_h: 20", image, objects())[0], image[:20])
    with pytest.raises(CaffeError, match="a crop of 61 x 61 is larger than the image, 80 x 60"):
        run("crop_size: 61", image, objects())
    corners = {
        run("crop_size: 59", image, objects(), pb.TRAIN, seed)[0].tobytes() for seed in range(400)
    }
    assert corners == {image[y : y + 59, x : x + 59].tobytes() for y in range(2) for x in range(22)}
