"""Statistics of annotated data as one picture."""

from __future__ import annotations

import io
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
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic

BLUE, ORANGE, GREY = "#3b6ea8", "#d9822b", "#9aa5b1"
CLASSES = 20  # bars of the first panel
DOTS = 4000  # boxes of the panel of clusters


def write(path: Path, objects: ObjectTable, covered: Sequence[tables.Covered] = ()) -> None:
    """Draw a PNG, SVG or PDF by its name. Raises CaffeError for other names."""
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise CaffeError(f"{path}: no picture's name; use .png, .svg or .pdf")
    settings: dict[Any, Any] = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titleweight": "bold",
        "axes.titlesize": 10,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(13, 7.5), dpi=110, layout="constrained")
        axes = figure.subplots(2, 3).ravel()
        figure.suptitle(tables.summary(objects), fontsize=11)
        _classes(axes[0], objects)
        _per_image(axes[1], objects)
        _sizes(axes[2], objects)
        _aspects(axes[3], objects)
        _clusters(axes[4], objects)
        if len(covered) == 1:
            _coverage(axes[5], covered[0])
        elif covered:
            _compared(axes[5], covered)
        else:
            _image_sizes(axes[5], objects)
        out = io.BytesIO()
        figure.savefig(out, format=kind)
    write_atomic(path, out.getvalue())


def _classes(axes: Axes, objects: ObjectTable) -> None:
    counts = np.bincount(objects.label, minlength=len(objects.names))
    order = np.argsort(-counts, kind="stable")[:CLASSES]
    bars = axes.barh([objects.names[i] for i in order], counts[order], color=BLUE)
    axes.bar_label(bars, padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_title("objects by class" + (f" (the first {CLASSES} of {len(counts)})" if len(counts) > CLASSES else ""))


def _per_image(axes: Axes, objects: ObjectTable) -> None:
    counts = tables.objects_per_image(objects)
    width = max(1, -(-int(counts.max() + 1) // 40))
    axes.hist(counts, (np.arange(0, counts.max() + 1 + width, width) - 0.5).tolist(), color=BLUE, edgecolor="white", linewidth=0.5)
    axes.axvline(counts.mean(), color=ORANGE, label=f"mean {counts.mean():.1f}")
    axes.set(title="objects per image", xlabel="objects", ylabel="images")
    axes.legend(frameon=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))


def _sizes(axes: Axes, objects: ObjectTable) -> None:
    roots = np.sqrt(objects.pixels.prod(1))
    roots = roots[roots > 0]
    edges = np.geomspace(*_reach(roots), 41).tolist()
    axes.hist(roots, edges, color=BLUE, edgecolor="white", linewidth=0.5)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for side, name in ((32, "small | medium"), (96, "medium | large")):
        axes.axvline(side, color=ORANGE, linewidth=1, linestyle="--")
        axes.annotate(name, (side, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=7, color=ORANGE)
    axes.set_title("size", pad=14)
    axes.set(xlabel="√area, pixels of the image (COCO's bounds)", ylabel="objects")


def _reach(roots: np.ndarray) -> tuple[float, float]:
    """Where the axis of sizes begins and ends; around the size, where all objects have one."""
    low, high = max(roots.min(initial=np.inf), 1), max(roots.max(initial=0), 2)
    return (low, high) if low < high else (high / 2, 2 * high)


def _aspects(axes: Axes, objects: ObjectTable) -> None:
    sides = objects.pixels[(objects.pixels > 0).all(1)]
    logs = np.log2(sides[:, 0] / sides[:, 1])
    reach = max(np.abs(logs).max() if len(logs) else 1, 1)
    axes.hist(logs, np.linspace(-min(reach, 4), min(reach, 4), 42).tolist(), color=BLUE, edgecolor="white", linewidth=0.5)
    ticks = [t for t in (1 / 8, 1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4, 8) if abs(np.log2(t)) <= reach]
    axes.set_xticks(np.log2(ticks), [f"{t:g}:1" if t >= 1 else f"1:{1 / t:g}" for t in ticks])
    axes.set(title="shape", xlabel="width : height, in the image", ylabel="objects")


def _clusters(axes: Axes, objects: ObjectTable) -> None:
    sides = 100 * objects.sides[(objects.sides > 0).all(1)]
    drawn = sides
    if len(sides) > DOTS:
        drawn = sides[np.random.default_rng(0).choice(len(sides), DOTS, replace=False)]
    axes.scatter(drawn[:, 0], drawn[:, 1], s=5, color=GREY, alpha=0.35, linewidths=0)
    limit = float(max(np.quantile(drawn, 0.995), 1) * 1.1)
    for ratio in (1 / 3, 1 / 2, 1, 2, 3):
        axes.plot([0, limit * 3], [0, limit * 3 / ratio], color="black", alpha=0.25, linewidth=0.8)
    for cluster in clusters.table(objects.sides):
        axes.scatter(cluster.width, cluster.height, s=40 + 900 * cluster.share, color=ORANGE, alpha=0.75, edgecolors="white", zorder=3)
        axes.annotate(f"{cluster.ratio:.1f}", (cluster.width, cluster.height), ha="center", va="center", fontsize=7, zorder=4)
    ratios = ", ".join(f"{r:.1f}" for r in clusters.ratios(objects.sides).values) or "1"
    axes.set(title=f"clusters with max(W/H, H/W); take {ratios}", xlim=(0, limit), ylim=(0, limit))
    axes.set(xlabel="width, % of the image's", ylabel="height, % of the image's (lines: 1:3 to 3:1)")


def _coverage(axes: Axes, covered: tables.Covered) -> None:
    net, found, sides = covered.net, covered.cover, covered.at_input
    bins = [(name, mask) for name, low, high in tables.side_bins() if (mask := (sides >= low) & (sides < high)).any()]
    names = [f"{name.replace(' and more', '+')}\n({mask.sum()})" for name, mask in bins]
    matched = [100 * (found.best[mask] >= MATCHED).mean() for _, mask in bins]
    bars = axes.bar(names, matched, color=[BLUE if m >= 80 else ORANGE for m in matched])
    axes.bar_label(bars, fmt="%.0f", fontsize=8, padding=2, zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
    axes.plot(
        names, [100 * found.best[mask].mean() for _, mask in bins], "o-", color="black", markersize=4, linewidth=1, label="mean best IoU, %"
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
    """Several nets, by the size that objects have in their images, which is the same for all."""
    sides = covered[0].in_image
    bins = [(name, mask) for name, low, high in tables.side_bins() if (mask := (sides >= low) & (sides < high)).any()]
    names = [f"{name.replace(' and more', '+')}\n({mask.sum()})" for name, mask in bins]
    for one in covered:
        matched = [100 * (one.cover.best[mask] >= MATCHED).mean() for _, mask in bins]
        axes.plot(names, matched, "o-", markersize=4, linewidth=1.5, label=_name(one.net))
    axes.set(title="covered by the nets' prior boxes", ylim=(0, 105), ylabel=f"% with a prior of IoU ≥ {MATCHED}")
    axes.set_xlabel("√area, pixels of the image (objects)")
    axes.legend(frameon=False, loc="lower right", fontsize=8)


def _name(net: NetPriors) -> str:
    """A zoo id, or a prototxt by its folder and name."""
    return "/".join(Path(net.name).parts[-2:])


def _image_sizes(axes: Axes, objects: ObjectTable) -> None:
    sizes, counts = np.unique(objects.images, axis=0, return_counts=True)
    axes.scatter(sizes[:, 0], sizes[:, 1], s=15 + 300 * counts / counts.max(), color=BLUE, alpha=0.5, linewidths=0)
    axes.set(title="images", xlabel="width, pixels", ylabel="height, pixels", xlim=(0, None), ylim=(0, None))
