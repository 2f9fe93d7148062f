"""Detectors of the zoo as users change them: other data, size, backbone, GPUs, batch or folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from caffe_ir import caffe_ir_pb2 as pb
from netgen import writer
from netgen.backbones.registry import on_backbone
from netgen.datasets import find_dataset
from netgen.run import Run
from netgen.zoo.registry import committed_ids, get

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Changes(TypedDict, total=False):
    """Options of `configure` that change what a detector is, whatever trains it."""

    dataset: str | None
    data: str | None
    batch: int | None
    iterations: int | None
    size: int | tuple[int, int] | None
    classes: int | None
    backbone: str | None
    difficult: bool | None
    ap_version: str | None
    result_format: str | None


class Options(Changes, total=False):
    """Options of `configure` but for the folder and the target."""

    gpus: Sequence[int] | None
    batch_per_gpu: int | None
    start: str | None


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
    difficult: bool | None = None,
    ap_version: str | None = None,
    result_format: str | None = None,
    start: str | None = None,
    out: str = "",
    target: str = "ssd",
) -> Run:
    """Return the run of a detector of the zoo, with these options changed.

    zoo_id: "fssd300_voc0712", or "fssd300" for short.
    dataset: another data set's name, or the path of a dataset.json; prior boxes, training on
        difficult objects and, on a user's own data, scores stay the recipe's.
    data: folder of the data in place of `data/`.
    gpus: numbers of the GPUs to train on, [] for the CPU; the effective batch stays the same.
    batch_per_gpu: images per GPU and pass; `iter_size` makes up for the rest.
    batch: another effective batch in images; the learning rate changes in proportion.
    iterations: another number of iterations; the schedule's steps move in proportion.
    size: side of the input, or its (height, width), in pixels.
    classes: number of classes, background included, in place of the data set's.
    backbone: another backbone below the same neck, such as "resnet101".
    difficult: train on objects that are marked difficult (COCO: crowds), too.
    ap_version: another average precision, "11point", "MaxIntegral" or "Integral".
    result_format: other result files, "VOC", "COCO" or "ILSVRC".
    start: folder of the run whose newest weights training starts from, in place of the detector's.
    out: folder for the files; "" for prototxt/<zoo id> and runs/<zoo id>.
    target: the Caffe build, "ssd" (stock layers) or "fssd" (has Interp).

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
    if difficult is not None:
        run = replace(run, dataset=replace(run.dataset, train_on_difficult=difficult))
    run = run.scored(ap_version, result_format)
    if data is not None:
        run = replace(run, dataset=run.dataset.under(data))
    if batch is not None:
        run = replace(run, schedule=run.schedule.with_batch(batch))
    if iterations is not None:
        run = replace(run, schedule=run.schedule.shortened(iterations))
    return replace(
        run,
        start_folder=start or "",
        folder=out,
        gpus=gpus,
        batch_per_gpu=batch_per_gpu,
        target=target,
    )


def build(
    zoo_id: str,
    phase: str,
    target: str = "ssd",
    *,
    out: str = "",
    **options: Unpack[Options],
) -> pb.NetParameter:
    """Return a detector's net.

    phase: "train", "test" or "deploy".
    target, out, options: see `configure`.

    Raises CaffeError as `configure` does, LayerError where a layer cannot be built.
    """
    return configure(zoo_id, out=out, target=target, **options).build(phase)


def solver(
    zoo_id: str,
    gpus: Sequence[int] | None = None,
    batch_per_gpu: int | None = None,
    *,
    out: str = "",
    target: str = "ssd",
    **options: Unpack[Changes],
) -> pb.SolverParameter:
    """Return a detector's solver; the last one where the schedule takes several.

    gpus: numbers of the GPUs to train on, [] for the CPU, None for the authors' own.
    batch_per_gpu, out, target, options: see `configure`.

    Raises CaffeError as `configure` does.
    """
    run = configure(
        zoo_id,
        gpus=gpus,
        batch_per_gpu=batch_per_gpu,
        out=out,
        target=target,
        **options,
    )
    return run.solver()


def write(
    zoo_id: str,
    target: str = "ssd",
    *,
    out: str | None = None,
    **options: Unpack[Options],
) -> list[Path]:
    """Write a detector's nets, solver and launch script, and return the files that changed.

    It makes the text of all files first, then writes each file whole or not at all.
    It also writes models/README.md if the launch script names it and it is missing.

    target, options: see `configure`.
    out: folder for the files; None for the default, see `placed`.

    Raises CaffeError as `build` does, and where the folder cannot be written.
    """
    return writer.write(placed(zoo_id, target, out=out, **options))


def placed(
    zoo_id: str,
    target: str = "ssd",
    *,
    out: str | None = None,
    **options: Unpack[Options],
) -> Run:
    """Return the run of a detector, with the folder that its files belong in.

    A committed detector that no option changes belongs in prototxt/, any other in runs/<its id>, so
    that the committed nets stay as the papers describe them.

    target, options: see `configure`.
    out: another folder. prototxt/<its id> is the default layout, in which training writes to runs/.

    Raises CaffeError as `configure` does.
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
