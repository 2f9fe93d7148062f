"""Annotations of one image as arrays, and SSD's augmentation of their boxes.

Numbers are float32, as in the fork.
Source: weiliu89/caffe, branch ssd, src/caffe/util/bbox_util.cpp and
src/caffe/data_transformer.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb

Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax, normalised


@dataclass(frozen=True)
class Annotations:
    """Objects of one image, in the record's order.

    boxes: (n, 4) float32, xmin, ymin, xmax, ymax normalised to the image.
    sizes: (n,) areas; the fork stores one with each box that it clips; NaN for other boxes.
    ids: (n, 3) float32, label, instance, difficult.
    """

    boxes: np.ndarray
    sizes: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: np.ndarray) -> Annotations:
        """Select objects by a mask or an index array."""
        return Annotations(self.boxes[which], self.sizes[which], self.ids[which])

    def areas(self) -> np.ndarray:
        """Return the (n,) stored areas, computed where a box has none."""
        return np.where(np.isnan(self.sizes), areas(self.boxes), self.sizes)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Compute the areas (…) of boxes (…, 4), 0 for an inverted box."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], np.float32(0))
    return sides[..., 0] * sides[..., 1]


def intersections(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute the areas that boxes a (4, …) and b (4, …) share, with broadcasting."""
    ends = np.minimum(a[2:], b[2:])
    starts = np.maximum(a[:2], b[:2])
    sides = np.maximum(ends - starts, np.float32(0))
    return sides[0] * sides[1]


def meets(
    emit: pb.EmitConstraint,
    view: np.ndarray,
    found: Annotations,
) -> np.ndarray:
    """Tell which objects an emit_constraint lets through.

    An object passes by its centre, which must lie inside the window, or by the share of its
    box inside the window, which must exceed emit_overlap.
    view: (4,) float32, the window.
    Returns a mask (n,).
    """
    if emit.emit_type == pb.EmitConstraint.CENTER:
        centre = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        return ((centre >= view[:2]) & (centre <= view[2:])).all(1)
    common = intersections(found.boxes.T, view[:, None])
    least = np.float32(emit.emit_overlap) * found.areas()
    return (common > 0) & (common > least)


def project(
    found: Annotations,
    window: Box,
    emit: pb.EmitConstraint | None,
) -> Annotations:
    """Move objects into a window of the image: clip them, and drop the empty ones.

    emit: the constraint that objects must meet as well, or None.
    Returns the objects left, in the window's coordinates.
    """
    if not len(found):
        return found
    view = np.array(window, np.float32)
    corners = (found.boxes.reshape(-1, 2, 2) - view[:2]) / (view[2:] - view[:2])
    clipped = np.minimum(np.maximum(corners, 0), 1).reshape(-1, 4)
    size = areas(clipped)
    keep = size > 0  # a box outside the window is empty once clipped
    if emit is not None:
        keep &= meets(emit, view, found)
    seen = Annotations(clipped, size, found.ids)
    if keep.all():
        return seen
    return seen.take(keep)


def mirrored(found: Annotations) -> Annotations:
    """Flip the objects of an image left to right."""
    boxes = found.boxes.copy()
    boxes[:, 0] = 1 - found.boxes[:, 2]
    boxes[:, 2] = 1 - found.boxes[:, 0]
    return Annotations(boxes, found.sizes, found.ids)
