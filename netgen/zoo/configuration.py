"""A detector of the zoo as a user wants it: other data, size, backbone, GPUs, batch or place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from netgen import writer
from netgen.backbones.registry import on_backbone
from netgen.datasets import find_dataset
from netgen.run import Run
from netgen.zoo.registry import committed_ids, get


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
    target: str = "ssd",
) -> Run:
    """A detector of the zoo and how it is run, as these options change it.

    zoo_id: "fssd300_voc0712", or "fssd300" for short.
    dataset: another data set's name, or the path of a dataset.json.
    data: the folder in place of `data/`.
    gpus: numbers of those to train on, [] for the CPU; the effective batch stays.
    batch_per_gpu: images per GPU and pass; `iter_size` makes up for the rest.
    batch: another effective batch in images; the learning rate is scaled alike.
    iterations: of a shorter run, the schedule in proportion.
    size: of the input in pixels, the side or (height, width).
    classes: with background, in place of the data set's.
    backbone: another one below the same neck, such as "vgg16", "resnet101", "mobilenet".
    out: the folder for the files; "" for the repository's own places.
    target: the Caffe build, "ssd" (stock layers) or "fssd" (which has Interp).

    Raises CaffeError with the nearest name for an unknown one, and for a change that the detector
    does not allow.
    """
    run = Run.of(get(zoo_id))
    if dataset is not None:
        run = run.on(find_dataset(dataset))
    if size is not None:
        run = run.resized(size)
    if backbone is not None:
        run = on_backbone(run, backbone)
    if classes is not None:
        run = replace(run, dataset=run.dataset.with_classes(classes))
    if data is not None:
        run = replace(run, dataset=run.dataset.under(data))
    if batch is not None:
        run = replace(run, schedule=run.schedule.with_batch(batch))
    if iterations is not None:
        run = replace(run, schedule=run.schedule.shortened(iterations))
    return replace(run, folder=out, gpus=gpus, batch_per_gpu=batch_per_gpu, target=target)


def build(
    zoo_id: str, phase: str, target: str = "ssd", *, out: str = "", **options: Any
) -> pb.NetParameter:
    """A detector's net as a message.

    phase: "train", "test" or "deploy". target: the Caffe build, "ssd" (stock layers) or "fssd"
    (which has Interp). out, options: of `configure`.

    Raises CaffeError as `configure` does, LayerError where a layer cannot be built.
    """
    return configure(zoo_id, out=out, target=target, **options).build(phase)


def solver(
    zoo_id: str,
    gpus: Sequence[int] | None = None,
    batch_per_gpu: int | None = None,
    *,
    out: str = "",
    **options: Any,
) -> pb.SolverParameter:
    """A detector's solver as a message; the last one where the schedule takes several.

    gpus: those to train on; None for the authors' own. The others: of `configure`.
    """
    changed = {"gpus": gpus, "batch_per_gpu": batch_per_gpu, "out": out, **options}
    return configure(zoo_id, **changed).solver()


def write(
    zoo_id: str, target: str = "ssd", *, out: str | None = None, **options: Any
) -> list[Path]:
    """Write a detector's nets, solver and launch script, and return the files that changed.

    target, options: of `build`. out: a folder; None as in `placed`.

    Each file is written whole or not at all, and none before all are made. Raises CaffeError as
    `build` does, and where the folder cannot be written.
    """
    return writer.write(placed(zoo_id, target, out=out, **options))


def placed(zoo_id: str, target: str = "ssd", *, out: str | None = None, **options: Any) -> Run:
    """A detector with the folder that its files belong in.

    A detector of prototxt/ that no option changes belongs there, any other in runs/<its id>, so
    that the committed nets stay as the papers have them. out: another folder. The default place,
    named outright, is the default layout, with what training writes in runs/.
    """
    run = configure(zoo_id, target=target, **options)
    if out is not None:
        folder = os.path.normpath(out)
        if folder == os.path.normpath(run.net_folder):
            return run
        return replace(run, folder=folder)
    changed = target != "ssd" or any(option is not None for option in options.values())
    if run.id in committed_ids() and not changed:
        return run
    return replace(run, folder=f"runs/{run.id}")
