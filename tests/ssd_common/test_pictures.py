"""Contact sheets, thumbnails and colours: where things lie, by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ssd_common.pictures import (
    Box,
    bright_colour,
    colour,
    contact_sheet,
    draw,
    encode,
    scaled,
    thumbnail,
)

GREY = np.full((30, 60, 3), 128, np.uint8)
WHITE, MOUNT = 255, 235


def test_a_contact_sheet_has_its_images_in_rows() -> None:
    images = [np.full((20, 20, 3), value, np.uint8) for value in (10, 20, 30)]
    paper = contact_sheet(images, columns=2, tile=20, gap=3)
    assert paper.shape == (3 + 2 * 23, 3 + 2 * 23, 3)
    # The third lies below the first; each begins after a gap.
    assert [paper[3, 3, 0], paper[3, 26, 0], paper[26, 3, 0]] == [10, 20, 30]
    assert (paper[26:46, 26:46] == WHITE).all()
    assert (paper[:3] == WHITE).all()


def test_as_many_columns_as_rows_and_a_foot_for_captions() -> None:
    images = [GREY] * 5
    assert contact_sheet(images, tile=64).shape == (2 + 2 * 66, 2 + 3 * 66, 3)
    named = contact_sheet(images, ["a", "b"], tile=64)
    assert named.shape == (2 + 2 * (66 + 24), 2 + 3 * 66, 3)
    foot = named[2 + 64 : 2 + 64 + 24]
    assert (foot[:, 2:66] < WHITE).any()
    assert (foot[:, 2 + 2 * 66 :] == WHITE).all()  # the third has no caption
    with pytest.raises(ValueError, match="no images"):
        contact_sheet([])


@pytest.mark.parametrize("side", [10, 60, 120])
def test_the_longer_side_is_scaled(side: int) -> None:
    assert scaled(GREY, side).shape == (side // 2, side, 3)
    assert scaled(GREY, side, shrink_only=True).shape == (side // 2, side, 3)


def test_a_thumbnail_has_its_boxes_around_objects() -> None:
    """An image of 30 x 60 in a square of 60: rows 15 to 44. The box is x 15 to 45, y 9 to 21."""
    box = Box((0.25, 0.3, 0.75, 0.7), 1, "", difficult=True)
    plain = thumbnail(GREY, [], 60)
    drawn = thumbnail(GREY, [box], 60)
    assert (plain[:15] == MOUNT).all()
    assert (plain[15:45] == 128).all()
    rows, columns = np.nonzero((plain != drawn).any(2))
    assert (rows.min(), rows.max()) == (15 + 9 - 1, 15 + 21)
    assert (columns.min(), columns.max()) == (15 - 1, 45)
    assert tuple(drawn[15 + 9 - 1, 30]) == bright_colour(1)
    thick = thumbnail(GREY, [Box(box.corners, 1, "")], 60)
    assert (thick != plain).sum() > (drawn != plain).sum()


def test_boxes_that_are_no_numbers_or_far_outside_can_be_drawn() -> None:
    wild = Box((float("nan"), -1e9, 1e9, float("inf")), 2, "wild", 0.5)
    assert thumbnail(GREY, [wild], 60).shape == (60, 60, 3)
    assert draw(GREY, [wild]).shape == GREY.shape


def test_classes_have_colours_of_their_own() -> None:
    assert len({colour(label) for label in range(21)}) == 21
    assert len({bright_colour(label) for label in range(21)}) == 21


def test_only_what_can_be_a_file_is_encoded() -> None:
    data = encode(GREY, ".png")
    assert data is not None
    assert (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) == GREY).all()
    assert encode(GREY, ".xyz") is None
    assert encode(np.zeros((1, 70000, 3), np.uint8), ".jpg") is None  # a JPEG ends at 65,535
