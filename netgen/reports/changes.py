"""What options change about a detector, and what stays its recipe's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from caffe_ir.prior_boxes import image_size
from netgen.run import Run
from netgen.zoo.registry import entries

Facts = Mapping[str, str]
# Facts of the recipe that another data set could be thought to change.
_KEPT = ("prior boxes", "difficult objects", "average precision", "result files")


def report(own: Run, run: Run) -> Iterator[str]:
    """Yield lines for a user: each fact that differs between two runs, and what does not.

    own: the recipe's own run.
    run: the one that options changed.
    """
    same_net = (own.recipe, own.dataset) == (run.recipe, run.dataset)
    if same_net and own.schedule == run.schedule:
        return
    before = facts(own, boxes=not same_net)
    after = facts(run, boxes=not same_net)
    changed = [name for name, value in after.items() if before[name] != value]
    if changed:
        yield f"changed from {own.id}:"
    for name in changed:
        yield f"  {name}: {before[name]} -> {after[name]}"
    if run.dataset.own or run.dataset.key != own.dataset.key:
        kept = [f"  {name}: {after[name]}" for name in _KEPT if name not in changed]
        yield f"as in {own.id}:"
        yield from kept
    if run.id != own.id and run.id in entries() and not run.dataset.own:
        yield f"the papers' own {run.id} is another: netgen build {run.id}"


def facts(run: Run, *, boxes: bool = True) -> Facts:
    """Return what a run trains and how it is scored, in words by name.

    boxes: the prior boxes, too, for which the net has to be built.
    """
    data = run.dataset
    schedule = run.schedule
    found = {
        "data": data.path(data.train_lmdb),
        "classes with background": f"{data.num_classes}",
        "test images": f"{data.test_images:,}, {schedule.test_batch} at a time",
        "input": "x".join(map(str, run.image_size)),
    }
    if boxes:
        found["prior boxes"] = _boxes(run)
    return found | {
        "difficult objects": _difficult(run),
        "images": _images(run),
        "average precision": data.ap_version,
        "result files": _results(run),
        "starts from": run.weights or "random weights",
        "iterations": f"{schedule.max_iter:,}",
        "learning rate": f"{schedule.base_lr:g}",
    }


def _boxes(run: Run) -> str:
    """Return the sizes of every map's prior boxes in pixels, as `30-60 60-111 …`."""
    texts = []
    for layer in run.build("train").layer:
        if layer.type == "PriorBox":
            param = layer.prior_box_param
            sides = [*param.min_size[:1], *param.max_size[:1]]
            # The layer's fields may give the image's size, and so all sizes, in parts of a pixel.
            scale = min(run.image_size) / min(image_size(param, run.image_size))
            texts.append("-".join(f"{side * scale:.4g}" for side in sides))
    return " ".join(texts)


def _difficult(run: Run) -> str:
    if run.dataset.train_on_difficult:
        return "trained on"
    return "left out"


def _images(run: Run) -> str:
    if run.dataset.force_color:
        return "read in colour"
    return "read as they are"


def _results(run: Run) -> str:
    text = f"{run.dataset.output_format}'s"
    if run.dataset.deploy_saves:
        text += ", also from the deploy net"
    return text
