"""RunOptions: how a run computes."""

from __future__ import annotations

from dataclasses import dataclass

# fp32: faithful to Caffe.
# tf32: float32, but an NVIDIA GPU multiplies with 10 bits of mantissa.
# bf16: layers that multiply (netrun.layers.bfloat16) first round weights and bottoms to bfloat16,
# 8 bits of mantissa; parameters, gradients and updates stay float32.
PRECISIONS = ("fp32", "bf16", "tf32")


@dataclass(frozen=True)
class RunOptions:
    """Settings of a run that a prototxt does not have; a net or a solver takes them when built.

    precision: one of PRECISIONS.
    strict: whether data layers stop at a corrupt record or object instead of leaving it out.
    keep_blobs: whether every blob keeps its values after a pass. If False, a pass releases each
        blob that no later layer reads, unless it is an output, a loss or data.
    soft_nms: whether DetectionOutput lowers the scores of overlapping boxes instead of dropping
        them.
    sync_batch_norm: whether BatchNorm takes its statistics over the batches of all processes,
        instead of each process's own as in Caffe. It helps detectors trained from scratch, such as
        DSOD.
    jpeg_recoding: whether AnnotatedData encodes images as JPEG again after each of distort, expand
        and crop. None: in TEST, as Caffe's SSD fork does, but not in TRAIN, where it takes time.
    seed: the seed of the random numbers of fillers, data augmentation and random layers.
    rank: this process's number among those that share the run, from 0.
    world: how many processes share the run.
    """

    precision: str = "fp32"
    strict: bool = False
    keep_blobs: bool = True
    soft_nms: bool = False
    sync_batch_norm: bool = False
    jpeg_recoding: bool | None = None
    seed: int = 0
    rank: int = 0
    world: int = 1


DEFAULTS = RunOptions()
