"""How a run computes: one object, given to a net or a solver when it is built."""

from __future__ import annotations

from dataclasses import dataclass

# fp32: faithful to Caffe.
# tf32: float32, but an NVIDIA GPU multiplies with 10 bits of mantissa.
# bf16: layers that multiply (netrun.layers.bfloat16) first round weights and bottoms to bfloat16,
# 8 bits of mantissa; parameters, gradients and updates stay float32.
PRECISIONS = ("fp32", "bf16", "tf32")


@dataclass(frozen=True)
class RunOptions:
    """What a prototxt leaves open. A net or a solver takes it when it is built.

    precision: one of PRECISIONS.
    strict: data layers stop at a corrupt record or object instead of leaving it out.
    keep_blobs: every blob keeps its values after a pass. False: a pass lets go of a blob once
        no later layer reads it, unless it is an output, a loss or data.
    soft_nms: DetectionOutput lowers the scores of overlapping boxes instead of dropping them.
    sync_batch_norm: BatchNorm takes its statistics over the batches of all processes, not over
        each one's own as Caffe does. Detectors trained from scratch, such as DSOD, gain from it.
    seed: of the random numbers of fillers, data augmentation and random layers.
    rank: number of this process among those that share the run, from 0.
    world: how many processes share the run.
    """

    precision: str = "fp32"
    strict: bool = False
    keep_blobs: bool = True
    soft_nms: bool = False
    sync_batch_norm: bool = False
    seed: int = 0
    rank: int = 0
    world: int = 1


DEFAULTS = RunOptions()
