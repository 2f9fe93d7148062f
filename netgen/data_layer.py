"""The AnnotatedData layer with SSD's augmentation (Liu et al. 2016, §2.2 and §3.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netgen.datasets import Dataset
from netgen.graph import Blob, Net


@dataclass(frozen=True)
class Pixels:
    """What becomes of an image's values 0 … 255.

    mean: of blue, green and red, which is subtracted first.
    scale: then multiplies what is left.
    """

    mean: tuple[float, float, float]
    scale: float = 1


@dataclass(frozen=True)
class Augmentation:
    """What training images go through beside mirroring.

    expand: the largest canvas that an image is put on, in its own sides (§3.6, "zoom out"); 1 for
        none.
    crops: cut patches out of the images (§2.2), or take each image whole.
    distort: change their colours.
    """

    expand: float = 4
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
# One is drawn for each training image.
INTERPOLATIONS = ["LINEAR", "AREA", "NEAREST", "CUBIC", "LANCZOS4"]


def batch_samplers() -> list[dict]:
    """Return the patches that a training image is cut to (§2.2).

    The whole image, one per minimum overlap, and one without any, drawn evenly.
    """
    constraints: list[dict] = [{"min_jaccard_overlap": overlap} for overlap in MIN_OVERLAPS]
    patches = [_patch(constraint) for constraint in (*constraints, {"max_jaccard_overlap": 1})]
    return [{"max_sample": 1, "max_trials": 1}, *patches]


def _patch(constraint: dict) -> dict:
    """Fields of a BatchSampler that cuts a patch with this overlap."""
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
    """Add the data layer; images are augmented where the net is for training.

    size: (height, width) in pixels.
    batch: images.
    Returns the images N×3×H×W and the labels 1×1×K×8 of their objects.
    """
    train = net.phase == "train"
    transform = _transform(size, pixels, dataset)
    # One sampler without fields is the whole image: what the released test nets have.
    samplers: Any = {}
    if train:
        transform["resize_param"]["interp_mode"] = INTERPOLATIONS
        transform |= _augmented(augmentation)
        if augmentation.crops:
            samplers = batch_samplers()
    image, label = net.add(
        "AnnotatedData",
        "data",
        tops=["data", "label"],
        include={"phase": "TRAIN" if train else "TEST"},
        transform_param=transform,
        data_param={
            "source": dataset.path(dataset.train_lmdb if train else dataset.test_lmdb),
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
    """Fields of TransformationParameter that hold in every phase."""
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
    """Fields of TransformationParameter that training alone has."""
    fields: dict[str, Any] = {"mirror": True, "emit_constraint": {"emit_type": "CENTER"}}
    if augmentation.distort:
        fields["distort_param"] = DISTORTION
    if augmentation.expand > 1:
        fields["expand_param"] = {"prob": 0.5, "max_expand_ratio": augmentation.expand}
    return fields
