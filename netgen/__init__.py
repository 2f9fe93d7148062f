"""netgen writes the nets, solvers and launch scripts of SSD-style detectors in Caffe's own files.

>>> import netgen
>>> net = netgen.build("fssd300_voc0712", "train")
>>> solver = netgen.solver("fssd300_voc0712", gpus=[0, 1])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssd_common.version import __version__

if TYPE_CHECKING:
    from caffe_ir import caffe_ir_pb2 as pb
    from netgen.recipe import Detector

__project__ = "ssd-zoo"  # data_prep and netrun tell by it that this netgen is ours

__all__ = ["__version__", "build", "configure", "solver"]


def configure(
    zoo_id: str,
    *,
    dataset: str | None = None,
    data: str | None = None,
    gpus: Sequence[int] | None = None,
    batch_per_gpu: int | None = None,
    batch: int | None = None,
    iterations: int | None = None,
    size: int | tuple[int, int] | None = None,
    classes: int | None = None,
    backbone: str | None = None,
    out: str = "",
) -> Detector:
    """A detector of the zoo, as these options change it.

    zoo_id: "fssd300_voc0712", or "fssd300" for short. dataset: another data set's name, or the path of a dataset.json.
    data: the folder in place of `data/`. gpus: those to train on ([]: the CPU); the effective batch stays, unless `batch` sets it.
    iterations: a shorter run. size: of the input in pixels, the side or (height, width). classes: with background, in place of the data
    set's. backbone: another one below the same neck ("vgg16", "resnet101", "mobilenet"). out: the folder that the files will lie in.
    Raises CaffeError with the nearest name for one that there is not, and for a change that the detector does not allow.
    """
    from dataclasses import replace  # noqa: PLC0415

    from netgen.datasets import find  # noqa: PLC0415
    from netgen.zoo import get  # noqa: PLC0415

    found = get(zoo_id)
    if dataset is not None:
        found = found.on(find(dataset))
    if size is not None:
        found = found.resized(size)
    if backbone is not None:
        found = found.on_backbone(backbone)
    if classes is not None:
        found = replace(found, dataset=found.dataset.with_classes(classes))
    if data is not None:
        found = replace(found, dataset=found.dataset.under(data))
    if batch is not None:
        found = replace(found, schedule=found.schedule.with_batch(batch))
    if iterations is not None:
        found = replace(found, schedule=found.schedule.shortened(iterations))
    return replace(found, folder=out, gpus=gpus, batch_per_gpu=batch_per_gpu)


def build(zoo_id: str, phase: str, target: str = "ssd", **options) -> pb.NetParameter:
    """A detector's net as a message. phase: "train", "test" or "deploy"; target: "ssd" (stock layers) or "fssd" (has Interp).

    options: of `configure`.
    """
    return configure(zoo_id, **options).build(phase, target)


def solver(zoo_id: str, gpus: Sequence[int] | None = None, batch_per_gpu: int | None = None, **options) -> pb.SolverParameter:
    """A detector's solver as a message. gpus: those to train on; None for the authors' own. options: of `configure`."""
    return configure(zoo_id, gpus=gpus, batch_per_gpu=batch_per_gpu, **options).solver()
