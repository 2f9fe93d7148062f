"""Draws statistics of annotated data as one picture."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data_prep.statistics import clusters, tables
from data_prep.statistics.object_table import ObjectTable
from data_prep.statistics.prior_coverage import MATCHED, NetPriors
from data_prep.statistics.sample import sample
from ssd_common.errors import UsageError
from ssd_common.files import write_atomic

BLUE = "#3b6ea8"
ORANGE = "#d9822b"
GREY = "#9aa5b1"
CLASSES = 20  # bars of the first panel, at most
DOTS = 4000  # boxes in the panel of clusters, at most
BARS = 40  # bars in the panel of objects per image, at most
WELL_COVERED = 80  # percent of objects with a matching prior box; below that a bar is orange
OUTLINE: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.5}  # of a histogram's bars
TICKS = (1 / 8, 1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4, 8)  # ratios of width to height
SETTINGS: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
}


def format_of(path: Path) -> str:
    """Return "png", "svg" or "pdf", by a file's name. Raises UsageError for other names."""
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise UsageError(f"{path}: no picture's name; use .png, .svg or .pdf")
    return kind


def write(path: Path, objects: ObjectTable, covered: Sequence[tables.Covered] = ()) -> None:
    """Draw statistics of objects, and how nets cover them, as one picture.

    path: ends in .png, .svg or .pdf.
    Raises UsageError for other names.
    """
    kind = format_of(path)
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(13, 7.5), dpi=110, layout="constrained")
        axes = figure.subplots(2, 3).ravel()
        figure.suptitle(tables.summary(objects), fontsize=11)
        _classes(axes[0], objects)
        _per_image(axes[1], objects)
        _sizes(axes[2], objects)
        _aspects(axes[3], objects)
        _clusters(axes[4], objects)
        if not covered:
            _image_sizes(axes[5], objects)
        elif len(covered) == 1:
            _coverage(axes[5], covered[0])
        else:
            _compared(axes[5], covered)
        out = io.BytesIO()
        figure.savefig(out, format=kind)
    write_atomic(path, out.getvalue())


def _classes(axes: Axes, objects: ObjectTable) -> None:
    counts = np.bincount(objects.label, minlength=len(objects.names))
    order = np.argsort(-counts, kind="stable")[:CLASSES]
    names = [objects.names[i] for i in order]
    bars = axes.barh(names, counts[order], color=BLUE)
    axes.bar_label(bars, padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    title = "objects by class"
    if len(counts) > CLASSES:
        title += f" (the first {CLASSES} of {len(counts)})"
    axes.set_title(title)


def _per_image(axes: Axes, objects: ObjectTable) -> None:
    counts = tables.objects_per_image(objects)
    most = int(counts.max())
    width = max(1, math.ceil((most + 1) / BARS))
    edges = np.arange(0, most + 1 + width, width) - 0.5
    axes.hist(counts, edges.tolist(), color=BLUE, **OUTLINE)
    axes.axvline(counts.mean(), color=ORANGE, label=f"mean {counts.mean():.1f}")
    axes.set(title="objects per image", xlabel="objects", ylabel="images")
    axes.legend(frameon=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))


def _sizes(axes: Axes, objects: ObjectTable) -> None:
    roots = np.sqrt(objects.pixels.prod(1))
    roots = roots[roots > 0]
    edges = np.geomspace(*_reach(roots), 41).tolist()
    axes.hist(roots, edges, color=BLUE, **OUTLINE)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for side, name in ((32, "small | medium"), (96, "medium | large")):
        axes.axvline(side, color=ORANGE, linewidth=1, linestyle="--")
        axes.annotate(
            name,
            (side, 1),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=7,
            color=ORANGE,
        )
    axes.set_title("size", pad=14)
    axes.set(xlabel="√area, pixels of the image (COCO's bounds)", ylabel="objects")


def _reach(roots: np.ndarray) -> tuple[float, float]:
    """Return both ends of the axis of sizes; where all are equal, a range around them."""
    low = max(roots.min(initial=np.inf), 1)
    high = max(roots.max(initial=0), 2)
    if low < high:
        return low, high
    return high / 2, 2 * high


def _aspects(axes: Axes, objects: ObjectTable) -> None:
    sides = objects.pixels[(objects.pixels > 0).all(1)]
    logs = np.log2(sides[:, 0] / sides[:, 1])
    reach = np.abs(logs).max(initial=1)
    edges = np.linspace(-min(reach, 4), min(reach, 4), 42)
    axes.hist(logs, edges.tolist(), color=BLUE, **OUTLINE)
    ticks = [ratio for ratio in TICKS if abs(np.log2(ratio)) <= reach]
    axes.set_xticks(np.log2(ticks), [_ratio_text(ratio) for ratio in ticks])
    axes.set(title="shape", xlabel="width : height, in the image", ylabel="objects")


def _ratio_text(ratio: float) -> str:
    """Write a ratio of width to height as 2:1 or 1:2."""
    if ratio >= 1:
        return f"{ratio:g}:1"
    return f"1:{1 / ratio:g}"


def _clusters(axes: Axes, objects: ObjectTable) -> None:
    sides = 100 * objects.sides[(objects.sides > 0).all(1)]
    drawn = sample(sides, DOTS)
    axes.scatter(drawn[:, 0], drawn[:, 1], s=5, color=GREY, alpha=0.35, linewidths=0)
    limit = float(max(np.quantile(drawn, 0.995), 1) * 1.1)
    end = limit * 3
    for ratio in (1 / 3, 1 / 2, 1, 2, 3):
        axes.plot([0, end], [0, end / ratio], color="black", alpha=0.25, linewidth=0.8)
    for cluster in clusters.table(objects.sides):
        _cluster(axes, cluster)
    found = clusters.ratios(objects.sides)
    ratios = ", ".join(f"{ratio:.1f}" for ratio in found.values) or "1"
    axes.set(
        title=f"clusters with max(W/H, H/W); take {ratios}",
        xlim=(0, limit),
        ylim=(0, limit),
        xlabel="width, % of the image's",
        ylabel="height, % of the image's (lines: 1:3 to 3:1)",
    )


def _cluster(axes: Axes, cluster: clusters.Cluster) -> None:
    """Draw a cluster as a disc, whose area grows with its share, around its ratio."""
    axes.scatter(
        cluster.width,
        cluster.height,
        s=40 + 900 * cluster.share,
        color=ORANGE,
        alpha=0.75,
        edgecolors="white",
        zorder=3,
    )
    axes.annotate(
        f"{cluster.ratio:.1f}",
        (cluster.width, cluster.height),
        ha="center",
        va="center",
        fontsize=7,
        zorder=4,
    )


def _coverage(axes: Axes, covered: tables.Covered) -> None:
    """Draw how one net covers objects, by their size at its input."""
    net = covered.net
    best = covered.cover.best
    names, masks = _size_bins(covered.at_input)
    matched = [_matched_percent(best[mask]) for mask in masks]
    bars = axes.bar(names, matched, color=[_bar_colour(percent) for percent in matched])
    axes.bar_label(
        bars,
        fmt="%.0f",
        fontsize=8,
        padding=2,
        zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )
    axes.plot(
        names,
        [100 * best[mask].mean() for mask in masks],
        "o-",
        color="black",
        markersize=4,
        linewidth=1,
        label="mean best IoU, %",
    )
    axes.set(
        title=f"covered by {_name(net)}'s prior boxes",
        ylim=(0, 125),
        yticks=range(0, 101, 20),
        ylabel=f"% with a prior of IoU ≥ {MATCHED}",
    )
    axes.set_xlabel(f"√area at the input of {net.width}x{net.height} (objects)")
    axes.legend(frameon=False, loc="upper left")


def _compared(axes: Axes, covered: Sequence[tables.Covered]) -> None:
    """Draw how several nets cover objects, by their size in the images, the same for all nets."""
    names, masks = _size_bins(covered[0].in_image)
    for one in covered:
        matched = [_matched_percent(one.cover.best[mask]) for mask in masks]
        axes.plot(names, matched, "o-", markersize=4, linewidth=1.5, label=_name(one.net))
    axes.set(
        title="covered by the nets' prior boxes",
        ylim=(0, 105),
        ylabel=f"% with a prior of IoU ≥ {MATCHED}",
    )
    axes.set_xlabel("√area, pixels of the image (objects)")
    axes.legend(frameon=False, loc="lower right", fontsize=8)


def _size_bins(sides: np.ndarray) -> tuple[list[str], list[np.ndarray]]:
    """Sort objects into bins by their size.

    sides: (n,) √area in pixels.
    Returns for every bin that is not empty its name, and (n,) which objects are in it.
    """
    names: list[str] = []
    masks: list[np.ndarray] = []
    for name, low, high in tables.side_bins():
        mask = (sides >= low) & (sides < high)
        if mask.any():
            names.append(f"{name.replace(' and more', '+')}\n({mask.sum()})")
            masks.append(mask)
    return names, masks


def _matched_percent(best: np.ndarray) -> float:
    """Return the percentage of objects that a prior box matches.

    best: (n,) best overlap of each object.
    """
    return 100 * (best >= MATCHED).mean()


def _bar_colour(percent: float) -> str:
    if percent >= WELL_COVERED:
        return BLUE
    return ORANGE


def _name(net: NetPriors) -> str:
    """Name a net by its zoo id, or a prototxt by its folder and name."""
    return "/".join(Path(net.name).parts[-2:])


def _image_sizes(axes: Axes, objects: ObjectTable) -> None:
    sizes, counts = np.unique(objects.images, axis=0, return_counts=True)
    axes.scatter(
        sizes[:, 0],
        sizes[:, 1],
        s=15 + 300 * counts / counts.max(),
        color=BLUE,
        alpha=0.5,
        linewidths=0,
    )
    axes.set(
        title="images",
        xlabel="width, pixels",
        ylabel="height, pixels",
        xlim=(0, None),
        ylim=(0, None),
    )
