"""Cards: what there is to know of a detector of the zoo before training it, as Markdown; docs/zoo/ holds one file of them per paper."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterable, Sequence
from functools import cache

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import VALUE_BYTES, shape_text
from caffe_ir.walk import Walk
from netgen.recipe import Detector
from netgen.reports.summary import centres_inside, image_shape, source_rows, walk_net
from netgen.zoo import entries, family, get, headlines, resolve
from ssd_common.errors import CaffeError

FOLDER = "docs/zoo"


def card(name: str) -> str:
    """The card of a zoo id or short name: what the paper prints, data, schedule, sources, boxes, costs, the command. Raises CaffeError."""
    zoo_id = resolve(name)
    return "\n\n".join([f"# {zoo_id}", prose(zoo_id), paper(zoo_id), *tables(zoo_id)])


def tables(zoo_id: str) -> list[str]:
    """A card below its prose."""
    detector = get(zoo_id)
    return [markdown(facts(detector)), markdown(sources(detector)), commands(zoo_id)]


def pages() -> dict[str, str]:
    """The text of every file of `FOLDER` by its path: the cards of a module of the zoo, its variants in short."""
    modules: dict[str, list[str]] = {}
    for zoo_id in entries():
        modules.setdefault(family(zoo_id), []).append(zoo_id)
    found = {f"{FOLDER}/{module}.md": page(ids) for module, ids in modules.items()}
    lines = [f"- [{module}]({module}.md): {', '.join(ids)}" for module, ids in modules.items()]
    head = "# The zoo\n\nWritten by `netgen card --all`. Those in bold have their files in `prototxt/`."
    bold = set(headlines())
    for zoo_id in bold:
        lines = [line.replace(f" {zoo_id},", f" **{zoo_id}**,") if f" {zoo_id}," in line else _bold_last(line, zoo_id) for line in lines]
    return found | {f"{FOLDER}/README.md": f"{head}\n\n" + "\n".join(lines) + "\n"}


def _bold_last(line: str, zoo_id: str) -> str:
    return line.removesuffix(zoo_id) + f"**{zoo_id}**" if line.endswith(f" {zoo_id}") else line


def page(ids: Sequence[str]) -> str:
    """A module's cards: the paper, a table of all ids, headlines in full, variants in words."""
    rows = [("id", "input", "boxes", "parameters", "GMACs", "training memory")]
    for zoo_id in ids:
        detector = get(zoo_id)
        found = walk(zoo_id, "deploy")
        counts = (f"{found.priors:,}", f"{found.learnable - found.frozen:,}", f"{found.macs / 1e9:.2f}", memory(walk(zoo_id, "train")))
        rows.append((f"[{zoo_id}](#{zoo_id})", shape_text(detector.image_size), *counts))
    bold = set(headlines())
    parts = ["\n\n".join([f"## {i}", prose(i), *(tables(i) if i in bold else [commands(i)])]) for i in ids]
    return "\n\n".join([f"# {family(ids[0])}", paper(ids[0]), markdown(rows), *parts]) + "\n"


def prose(zoo_id: str) -> str:
    """What the entry's docstring says: paper and section, expected mAP, what differs from the release."""
    return inspect.getdoc(entries()[zoo_id]) or ""


def paper(zoo_id: str) -> str:
    """What the docstring of the entry's module says of all of them: the paper, its hardware and hours, how paper and release differ."""
    text = inspect.getdoc(sys.modules[entries()[zoo_id].__module__]) or ""
    return "\n".join(line for line in text.splitlines() if not line.startswith("To run one:"))


@cache
def walk(zoo_id: str, phase: str) -> Walk:
    return walk_net(get(zoo_id).build(phase), phase)


def facts(detector: Detector) -> list[tuple[str, str]]:
    """What follows from the detector and its nets, name and value, under a heading."""
    data, schedule, plan, found = detector.dataset, detector.schedule, detector.plan, walk(detector.id, "deploy")
    devices = f"{len(detector.devices)} GPU{'s' * (len(detector.devices) != 1)}" if detector.devices else "the CPU"
    images = f"{data.train_images:,}" if data.train_images else "an unknown number of"
    epochs = f", {schedule.max_iter * schedule.batch / data.train_images:.0f} epochs" if data.train_images else ""
    shape = image_shape(found)
    counts = [("parameters", found.learnable - found.frozen), ("frozen", found.frozen), ("statistics", found.statistics)]
    return [
        ("", ""),
        ("data", f"{data.name}: {images} images to train on, {data.test_images:,} to test on, {data.num_classes} classes with background"),
        ("starts from", detector.weights or "random weights"),
        ("input", shape_text(shape[1:])),
        *((f"schedule{n}", rates(solver)) for n, solver in _numbered(detector.solvers())),
        ("batch", f"{plan}, on {devices}{epochs}"),
        ("optimiser", f"SGD, momentum {schedule.momentum:g}, weight decay {schedule.weight_decay:g}"),
        ("boxes", boxes(found)),
        *((name, f"{value:,}") for name, value in counts if value),
        ("multiply-adds", f"{found.macs:,} for an image"),
        (
            "memory",
            f"{memory(walk(detector.id, 'train'))} of activations for a training batch of {plan.per_gpu} on one GPU, gradients included",
        ),
    ]


def _numbered(solvers: Sequence[pb.SolverParameter]) -> Iterable[tuple[str, pb.SolverParameter]]:
    return ((f" {i}" if len(solvers) > 1 else "", solver) for i, solver in enumerate(solvers, 1))


def rates(solver: pb.SolverParameter) -> str:
    """A solver's iterations and learning rate in words."""
    text = f"to iteration {solver.max_iter:,}, learning rate {solver.base_lr:g}"
    if solver.lr_policy == "inv":
        return f"to iteration {solver.max_iter:,}, learning rate {solver.base_lr:.3g} + {solver.base_lr * solver.gamma:.3g} per iteration"
    if solver.stepvalue:
        text += f", times {solver.gamma:g} at " + ", ".join(f"{step:,}" for step in solver.stepvalue)
    return text


def memory(found: Walk) -> str:
    """Activations of a training net's batch: every blob once, in-place layers none of their own, and a gradient as large beside each."""
    made = {
        top: math.prod(shape)
        for walked in found.layers
        for top, shape in zip(walked.layer.top, walked.facts.tops, strict=False)
        if top not in walked.layer.bottom
    }
    size = 2 * VALUE_BYTES * sum(made.values())
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def boxes(found: Walk) -> str:
    """How many prior boxes there are, and where."""
    share = centres_inside(found)
    where = "" if share == 1 else f", of which {share:.1%} have their centre in the image"
    return f"{found.priors:,}{where}"


def sources(detector: Detector) -> list[tuple[str, ...]]:
    """A row per map with prior boxes, under a heading."""
    return source_rows(walk(detector.id, "deploy"))


def commands(zoo_id: str) -> str:
    """What to type to train it."""
    folder = f"prototxt/{zoo_id}" if zoo_id in headlines() else f"runs/{zoo_id}"
    return f"```\nnetgen build {zoo_id}\n{folder}/train.sh\n```"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table, the first one its heading."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def write(check: bool = False) -> list[str]:
    """Write the pages that have changed and return their paths; check: write nothing. Raises CaffeError where one is stale, then."""
    from pathlib import Path  # noqa: PLC0415

    from netgen.writer import holds  # noqa: PLC0415
    from ssd_common.files import write_atomic  # noqa: PLC0415

    stale = {path: content for path, content in pages().items() if not holds(Path(path), content)}
    if check and stale:
        raise CaffeError(f"{len(stale)} files are not what netgen writes: {', '.join(list(stale)[:3])}; run netgen card --all")
    for path, content in stale.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(Path(path), content)
    return list(stale)
