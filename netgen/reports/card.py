"""Cards in Markdown: the facts of a detector before any training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import VALUE_BYTES, shape_text
from caffe_ir.walk import Walk
from netgen.datasets import Dataset
from netgen.recipe import Recipe
from netgen.reports.summary import source_rows
from netgen.reports.walks import centres_inside, image_shape, walk_net
from netgen.run import Run
from netgen.schedules import Schedule
from netgen.zoo.configuration import build, configure
from netgen.zoo.registry import committed_ids, entries, resolve
from ssd_common.words import counted, memory_size

Rows = Sequence[Sequence[str]]


def card(zoo_id: str) -> str:
    """Return a detector's card: the paper's figures, data, schedule, boxes, costs, the command.

    zoo_id: full or short, "ssd300_voc0712" or "ssd300".

    Raises CaffeError with the nearest id for an unknown one.
    """
    zoo_id = resolve(zoo_id)
    parts = [f"# {zoo_id}", prose(zoo_id), paper(zoo_id), *tables(zoo_id)]
    return "\n\n".join(parts)


def tables(zoo_id: str) -> list[str]:
    """Return the parts of a card below its prose: facts, source maps, commands."""
    run = configure(zoo_id)
    return [
        markdown(facts(run)),
        markdown(sources(run)),
        commands(zoo_id),
    ]


def prose(zoo_id: str) -> str:
    """Return an entry's docstring: paper and section, expected mAP, differences to the release."""
    return entries()[zoo_id].description


def paper(zoo_id: str) -> str:
    """Return the docstring of an entry's module: the paper, its hardware and hours, its release."""
    lines = entries()[zoo_id].paper.splitlines()
    return "\n".join(line for line in lines if not line.startswith("To run one:"))


@cache
def walk(zoo_id: str, phase: str) -> Walk:
    """Walk a detector's net of a phase."""
    return walk_net(build(zoo_id, phase), phase)


def facts(run: Run) -> list[tuple[str, str]]:
    """Return the facts of a detector and its nets, (name, value) rows under an empty heading."""
    schedule = run.schedule
    found = walk(run.id, "deploy")
    return [
        ("", ""),
        ("data", _data(run.dataset)),
        ("starts from", run.weights or "random weights"),
        ("input", shape_text(image_shape(found)[1:])),
        *_schedule_rows(run.solvers()),
        ("batch", _batch(run)),
        *_hardware_rows(run.recipe),
        ("optimiser", _optimiser(schedule)),
        ("boxes", boxes(found)),
        *_count_rows(found),
        ("multiply-adds", f"{found.macs:,} for an image"),
        ("memory", _training_memory(run)),
    ]


def _optimiser(schedule: Schedule) -> str:
    """Return the solver's type and its constants; a type without momentum has 0."""
    text = schedule.type
    if schedule.momentum:
        text += f", momentum {schedule.momentum:g}"
    return f"{text}, weight decay {schedule.weight_decay:g}"


def _data(data: Dataset) -> str:
    images = "an unknown number of"
    if data.train_images:
        images = f"{data.train_images:,}"
    tested = f"{data.test_images:,} to test on"
    classes = f"{data.num_classes} classes with background"
    return f"{data.name}: {images} images to train on, {tested}, {classes}"


def _schedule_rows(solvers: Sequence[pb.SolverParameter]) -> Iterable[tuple[str, str]]:
    if len(solvers) == 1:
        return [("schedule", rates(solvers[0]))]
    return [(f"schedule {i}", rates(solver)) for i, solver in enumerate(solvers, 1)]


def rates(solver: pb.SolverParameter) -> str:
    """Return a solver's iterations and learning rate in words."""
    text = f"to iteration {solver.max_iter:,}, learning rate "
    rate = solver.base_lr
    if solver.lr_policy == "inv":
        return f"{text}{rate:.3g} + {rate * solver.gamma:.3g} per iteration"
    text += f"{rate:g}"
    if solver.stepvalue:
        steps = ", ".join(f"{step:,}" for step in solver.stepvalue)
        text += f", times {solver.gamma:g} at {steps}"
    return text


def _batch(run: Run) -> str:
    text = f"{run.plan}, on {_devices(len(run.devices))}"
    schedule = run.schedule
    images = run.dataset.train_images
    if images:
        epochs = schedule.max_iter * schedule.batch / images
        text += f", {epochs:.0f} epochs"
    return text


def _hardware_rows(recipe: Recipe) -> list[tuple[str, str]]:
    """Return the paper's hardware and its hours of training, where the paper tells them."""
    if not recipe.hardware:
        return []
    if recipe.hours is None:
        return [("paper's hardware", recipe.hardware)]
    return [("paper's hardware", f"{recipe.hardware}, {recipe.hours:g} hours")]


def _devices(gpus: int) -> str:
    if not gpus:
        return "the CPU"
    return counted(gpus, "GPU")


def boxes(found: Walk) -> str:
    """Return the number of prior boxes, and the share that lies in the image."""
    share = centres_inside(found)
    if share == 1:
        return f"{found.priors:,}"
    return f"{found.priors:,}, of which {share:.1%} have their centre in the image"


def _count_rows(found: Walk) -> list[tuple[str, str]]:
    counts = {
        "parameters": found.learnable - found.frozen,
        "frozen": found.frozen,
        "statistics": found.statistics,
    }
    return [(name, f"{count:,}") for name, count in counts.items() if count]


def _training_memory(run: Run) -> str:
    size = memory(walk(run.id, "train"))
    batch = f"a training batch of {run.plan.per_gpu} on one GPU"
    return f"{size} of activations for {batch}, gradients included"


def memory(found: Walk) -> str:
    """Return the memory of a training batch's activations and their gradients, in words.

    Every blob counts once; a layer that works in place adds none.
    """
    values: dict[str, int] = {}
    for walked in found.layers:
        for top, shape in zip(walked.layer.top, walked.facts.tops, strict=False):
            if top not in walked.layer.bottom:
                values[top] = math.prod(shape)
    total = sum(values.values())
    return memory_size(2 * VALUE_BYTES * total)


def sources(run: Run) -> list[tuple[str, ...]]:
    """Return one row per map with prior boxes, under a heading."""
    return source_rows(walk(run.id, "deploy"))


def commands(zoo_id: str) -> str:
    """Return the commands that build and train a detector, as a code block."""
    place = "runs"
    if zoo_id in committed_ids():
        place = "prototxt"
    return f"```\nnetgen build {zoo_id}\n{place}/{zoo_id}/train.sh\n```"


def markdown(rows: Rows) -> str:
    """Return rows as a Markdown table; the first row is the heading."""
    heading, *lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = "|" + " --- |" * len(rows[0])
    return "\n".join([heading, rule, *lines])
