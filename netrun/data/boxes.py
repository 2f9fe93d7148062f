"""Annotations of one image as arrays, and what SSD's augmentation does to boxes (float32, as the fork computes them).

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/util/bbox_util.cpp and src/caffe/data_transformer.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb

Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax, normalised


@dataclass(frozen=True)
class Annotations:
    """Objects of one image, in the record's order.

    boxes: (n, 4) float32, xmin, ymin, xmax, ymax normalised to the image. sizes: (n,) areas that the fork keeps beside a box once
    it has been clipped, NaN where it has none yet. ids: (n, 3) float32, label, instance, difficult.
    """

    boxes: np.ndarray
    sizes: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: np.ndarray) -> Annotations:
        """Those that a mask or an index array selects."""
        return Annotations(self.boxes[which], self.sizes[which], self.ids[which])

    def areas(self) -> np.ndarray:
        """(n,) areas: the kept one where there is one."""
        return np.where(np.isnan(self.sizes), areas(self.boxes), self.sizes)


def areas(boxes: np.ndarray) -> np.ndarray:
    """(…, 4) boxes -> (…) areas, 0 for an inverted box."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], np.float32(0))
    return sides[..., 0] * sides[..., 1]


def intersections(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Areas common to boxes a (4, …) and b (4, …), broadcast."""
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), np.float32(0))
    return sides[0] * sides[1]


def meets(emit: pb.EmitConstraint, view: np.ndarray, found: Annotations) -> np.ndarray:
    """Mask of the objects that the constraint lets through: centre inside the window, or more than emit_overlap of the box.

    view: (4,) float32, the window.
    """
    if emit.emit_type == pb.EmitConstraint.CENTER:
        centre = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        return ((centre >= view[:2]) & (centre <= view[2:])).all(1)
    common, whole = intersections(found.boxes.T, view[:, None]), found.areas()
    return (common > 0) & (common > np.float32(emit.emit_overlap) * whole)


def project(found: Annotations, window: Box, emit: pb.EmitConstraint | None) -> Annotations:
    """The objects as seen in a window of the image: kept by `emit`, in the window's coordinates, clipped; empty ones dropped."""
    if not len(found):
        return found
    view = np.array(window, np.float32)
    corners = (found.boxes.reshape(-1, 2, 2) - view[:2]) / (view[2:] - view[:2])
    clipped = np.minimum(np.maximum(corners, 0), 1).reshape(-1, 4)
    size = areas(clipped)
    keep = size > 0  # clipped, a box that lies outside is empty
    if emit is not None:
        keep &= meets(emit, view, found)
    seen = Annotations(clipped, size, found.ids)
    return seen if keep.all() else seen.take(keep)


def mirrored(found: Annotations) -> Annotations:
    """The objects of the image flipped left to right."""
    boxes = found.boxes.copy()
    boxes[:, 0], boxes[:, 2] = 1 - found.boxes[:, 2], 1 - found.boxes[:, 0]
    return Annotations(boxes, found.sizes, found.ids)
