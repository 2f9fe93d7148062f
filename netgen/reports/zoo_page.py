"""Cards: what is known of a detector before training, as Markdown; a page of them per paper."""

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
from netgen.zoo.configuration import build, configure
from netgen.zoo.registry import committed_ids, entries, get, resolve
from ssd_common.words import counted, memory_size

FOLDER = "docs/zoo"
_HEAD = """# The zoo

Written by `make prototxt`. Those in bold have their files in `prototxt/`.
[A detector of your own](../own_detectors.md) is a file that netgen loads.
"""
_COLUMNS = ("id", "input", "boxes", "parameters", "GMACs", "training memory")
Rows = Sequence[Sequence[str]]


def card(zoo_id: str) -> str:
    """A detector's card: what the paper prints, data, schedule, sources, boxes, costs, the command.

    zoo_id: or its short name. Raises CaffeError with the nearest id for an unknown one.
    """
    zoo_id = resolve(zoo_id)
    return "\n\n".join([f"# {zoo_id}", prose(zoo_id), paper(zoo_id), *tables(zoo_id)])


def tables(zoo_id: str) -> list[str]:
    """A card below its prose."""
    run = configure(zoo_id)
    return [markdown(facts(run)), markdown(sources(run)), commands(zoo_id)]


def pages() -> dict[str, str]:
    """The text of every file of `FOLDER` by its path: an index, and a page per zoo module."""
    modules: dict[str, list[str]] = {}
    for zoo_id, entry in entries().items():
        modules.setdefault(entry.family, []).append(zoo_id)
    found = {f"{FOLDER}/{module}.md": page(ids) for module, ids in modules.items()}
    lines = [_index_line(module, ids) for module, ids in modules.items()]
    return found | {f"{FOLDER}/README.md": "\n".join([_HEAD, *lines]) + "\n"}


def _index_line(module: str, ids: Sequence[str]) -> str:
    committed = set(committed_ids())
    names = (f"**{zoo_id}**" if zoo_id in committed else zoo_id for zoo_id in ids)
    return f"- [{module}]({module}.md): {', '.join(names)}"


def page(ids: Sequence[str]) -> str:
    """A module's cards: the paper, a table of all ids, committed ones in full, others in words."""
    rows = [_COLUMNS, *map(_page_row, ids)]
    parts = map(_section, ids)
    head = [f"# {entries()[ids[0]].family}", paper(ids[0]), markdown(rows)]
    return "\n\n".join([*head, *parts]) + "\n"


def _page_row(zoo_id: str) -> tuple[str, ...]:
    found = walk(zoo_id, "deploy")
    return (
        f"[{zoo_id}](#{zoo_id})",
        shape_text(get(zoo_id).image_size),
        f"{found.priors:,}",
        f"{found.learnable - found.frozen:,}",
        f"{found.macs / 1e9:.2f}",
        memory(walk(zoo_id, "train")),
    )


def _section(zoo_id: str) -> str:
    below = tables(zoo_id) if zoo_id in committed_ids() else [commands(zoo_id)]
    return "\n\n".join([f"## {zoo_id}", prose(zoo_id), *below])


def prose(zoo_id: str) -> str:
    """The entry's docstring: paper and section, expected mAP, what differs from the release."""
    return entries()[zoo_id].card


def paper(zoo_id: str) -> str:
    """The docstring of the entry's module: the paper, its hardware and hours, its release."""
    text = entries()[zoo_id].paper
    return "\n".join(line for line in text.splitlines() if not line.startswith("To run one:"))


@cache
def walk(zoo_id: str, phase: str) -> Walk:
    """The walk through a detector's net of a phase."""
    return walk_net(build(zoo_id, phase), phase)


def facts(run: Run) -> list[tuple[str, str]]:
    """What follows from the detector and its nets: a name and a value a row, under a heading."""
    schedule, found = run.schedule, walk(run.id, "deploy")
    return [
        ("", ""),
        ("data", _data(run.dataset)),
        ("starts from", run.weights or "random weights"),
        ("input", shape_text(image_shape(found)[1:])),
        *_schedule_rows(run.solvers()),
        ("batch", _batch(run)),
        *_hardware_rows(run.recipe),
        (
            "optimiser",
            f"SGD, momentum {schedule.momentum:g}, weight decay {schedule.weight_decay:g}",
        ),
        ("boxes", boxes(found)),
        *_count_rows(found),
        ("multiply-adds", f"{found.macs:,} for an image"),
        ("memory", _training_memory(run)),
    ]


def _data(data: Dataset) -> str:
    images = f"{data.train_images:,}" if data.train_images else "an unknown number of"
    tested = f"{data.test_images:,} to test on"
    classes = f"{data.num_classes} classes with background"
    return f"{data.name}: {images} images to train on, {tested}, {classes}"


def _schedule_rows(solvers: Sequence[pb.SolverParameter]) -> Iterable[tuple[str, str]]:
    if len(solvers) == 1:
        return [("schedule", rates(solvers[0]))]
    return [(f"schedule {i}", rates(solver)) for i, solver in enumerate(solvers, 1)]


def rates(solver: pb.SolverParameter) -> str:
    """A solver's iterations and learning rate in words."""
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
    schedule, images = run.schedule, run.dataset.train_images
    if images:
        text += f", {schedule.max_iter * schedule.batch / images:.0f} epochs"
    return text


def _hardware_rows(recipe: Recipe) -> list[tuple[str, str]]:
    """What the paper trained on and for how long, where it says so."""
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
    """How many prior boxes there are, and where."""
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
    """What the activations of a training net's batch and their gradients take.

    Every blob counts once; a layer in place has none of its own.
    """
    made = {
        top: math.prod(shape)
        for walked in found.layers
        for top, shape in zip(walked.layer.top, walked.facts.tops, strict=False)
        if top not in walked.layer.bottom
    }
    return memory_size(2 * VALUE_BYTES * sum(made.values()))


def sources(run: Run) -> list[tuple[str, ...]]:
    """A row per map with prior boxes, under a heading."""
    return source_rows(walk(run.id, "deploy"))


def commands(zoo_id: str) -> str:
    """What to type to train it."""
    place = "prototxt" if zoo_id in committed_ids() else "runs"
    return f"```\nnetgen build {zoo_id}\n{place}/{zoo_id}/train.sh\n```"


def markdown(rows: Rows) -> str:
    """Rows as a Markdown table, the first one its heading."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
