"""The AnnotatedData layer with SSD's augmentation (Liu et al. 2016, §2.2 and §3.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netgen.datasets import Dataset
from netgen.graph import Blob, Net


@dataclass(frozen=True)
class Pixels:
    """How an image's values 0 … 255 are normalised: (value − mean)·scale.

    mean: of blue, green and red.
    scale: factor on the difference.
    """

    mean: tuple[float, float, float]
    scale: float = 1


@dataclass(frozen=True)
class Augmentation:
    """How training images are augmented, in addition to mirroring.

    expand: the largest canvas that an image is placed on, as a multiple of its sides (§3.6,
        "zoom out"); 1 for no canvas.
    expand_prob: share of the images that are placed on one.
    crops: cut patches out of the images (§2.2); otherwise each image is taken whole.
    distort: change the colours.
    """

    expand: float = 4
    expand_prob: float = 0.5
    crops: bool = True
    distort: bool = True


VGG_PIXELS = Pixels((104, 117, 123))  # what VGG_ILSVRC_16_layers subtracts
DISTORTION = {
    "brightness_prob": 0.5,
    "brightness_delta": 32,
    "contrast_prob": 0.5,
    "contrast_lower": 0.5,
    "contrast_upper": 1.5,
    "hue_prob": 0.5,
    "hue_delta": 18,
    "saturation_prob": 0.5,
    "saturation_lower": 0.5,
    "saturation_upper": 1.5,
    "random_order_prob": 0,
}
MIN_OVERLAPS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of a sampled patch with some object
# The layer draws one of these methods for each training image.
INTERPOLATIONS = ["LINEAR", "AREA", "NEAREST", "CUBIC", "LANCZOS4"]


def batch_samplers() -> list[dict]:
    """Return the samplers of training patches (§2.2), `batch_sampler` in Caffe.

    The layer draws evenly among the whole image, one patch for each minimum overlap, and one patch
    without a minimum.
    """
    constraints: list[dict] = [{"min_jaccard_overlap": overlap} for overlap in MIN_OVERLAPS]
    patches = [_patch(constraint) for constraint in (*constraints, {"max_jaccard_overlap": 1})]
    return [{"max_sample": 1, "max_trials": 1}, *patches]


def _patch(constraint: dict) -> dict:
    """Return the fields of a BatchSampler that cuts a patch with this overlap."""
    return {
        "sampler": {
            "min_scale": 0.3,
            "max_scale": 1,
            "min_aspect_ratio": 0.5,
            "max_aspect_ratio": 2,
        },
        "sample_constraint": constraint,
        "max_sample": 1,
        "max_trials": 50,
    }


def annotated_data(
    net: Net,
    dataset: Dataset,
    size: tuple[int, int],
    batch: int,
    *,
    pixels: Pixels = VGG_PIXELS,
    augmentation: Augmentation = Augmentation(),
) -> tuple[Blob, Blob]:
    """Add the data layer, which augments images in a training net only.

    size: (height, width) in pixels.
    batch: images per pass and GPU.

    Returns the images N×3×H×W and the labels 1×1×K×8 of their objects.
    """
    phase = "TEST"
    lmdb = dataset.test_lmdb
    transform = _transform(size, pixels, dataset)
    # The released test nets have one sampler without fields, which takes the whole image.
    samplers: Any = {}
    if net.phase == "train":
        phase = "TRAIN"
        lmdb = dataset.train_lmdb
        transform["resize_param"]["interp_mode"] = INTERPOLATIONS
        transform |= _augmented(augmentation)
        if augmentation.crops:
            samplers = batch_samplers()
    image, label = net.add(
        "AnnotatedData",
        "data",
        tops=["data", "label"],
        include={"phase": phase},
        transform_param=transform,
        data_param={
            "source": dataset.path(lmdb),
            "batch_size": batch,
            "backend": "LMDB",
        },
        annotated_data_param={
            "label_map_file": dataset.path(dataset.labelmap),
            "batch_sampler": samplers,
        },
    )
    return image, label


def _transform(size: tuple[int, int], pixels: Pixels, dataset: Dataset) -> dict[str, Any]:
    """Return the fields of TransformationParameter that are the same in every phase."""
    fields: dict[str, Any] = {
        "mean_value": pixels.mean,
        "resize_param": {
            "prob": 1,
            "resize_mode": "WARP",
            "height": size[0],
            "width": size[1],
            "interp_mode": "LINEAR",
        },
    }
    if pixels.scale != 1:
        fields["scale"] = pixels.scale
    if dataset.force_color:
        fields["force_color"] = True
    return fields


def _augmented(augmentation: Augmentation) -> dict[str, Any]:
    """Return the fields of TransformationParameter that only a training net has."""
    fields: dict[str, Any] = {
        "mirror": True,
        "emit_constraint": {"emit_type": "CENTER"},
    }
    if augmentation.distort:
        fields["distort_param"] = DISTORTION
    if augmentation.expand > 1:
        fields["expand_param"] = {
            "prob": augmentation.expand_prob,
            "max_expand_ratio": augmentation.expand,
        }
    return fields
