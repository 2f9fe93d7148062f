"""The report of a benchmark: targets, a table in Markdown, the figures as JSON, a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.measured import Found, Measured
from bench.targets import targets
from ssd_common.files import write_atomic

_MiB = 2**20
_COLUMNS = [
    "part",
    "contender",
    "median, ms",
    "range, ms (turns)",
    "images/s",
    "of the matrix rate",
    "memory, MiB",
]
_NO_GPU = "No GPU was at hand: this benchmark's GPU part has never run.\n\n"
_METHOD = (
    "`make bench` measured this: contenders in processes of their own take turns; medians are"
    " compared. Weights are random (all confidences are alike: the most work that DetectionOutput"
    " can have); images are noise, for the loader drawn JPEGs.\n"
    "Memory is the peak of running above what the process had before its net was built, the batch"
    " included.\n"
)
_TRAINING_PASSES = 3  # a training step costs about three forward passes
_TEMPORARY = ("folder", "weights", "source")  # options that name a temporary folder


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    rule = ["---"] * len(head)
    lines = ["| " + " | ".join(line) + " |" for line in (head, rule, *rows)]
    return "\n".join(lines) + "\n"


def _rows(found: Found) -> list[list[str]]:
    """Return a row of `_COLUMNS` for each contender."""
    peak: dict[str, float] = {}
    for name, m in found.get("matrices", {}).items():
        if m.seconds:
            peak[name] = m.facts["macs"] / m.median
    rows = []
    for part, contenders in found.items():
        rows += [_row(part, m, peak) for m in contenders.values()]
    return rows


def _row(part: str, m: Measured, peak: dict[str, float]) -> list[str]:
    """Return a contender's row. peak: precision → multiply-adds a second of the device."""
    if not m.seconds:
        return [part, m.name, f"failed: {m.failed}", "", "", "", ""]
    fastest = min(m.seconds) * 1e3
    slowest = max(m.seconds) * 1e3
    macs_rate = _macs_rate(part, m)
    speed = f"{m.rate:.4g}"
    share = ""
    if part == "matrices":
        speed = f"{2 * macs_rate / 1e12:.3g} TFLOP/s"
    elif macs_rate and m.options["precision"] in peak:
        share = f"{macs_rate / peak[m.options['precision']]:.0%}"
    memory = ""
    if m.memory:
        memory = f"{m.memory / _MiB:.0f}"
    return [
        part,
        m.name,
        f"{m.median * 1e3:.4g}",
        f"{fastest:.4g}–{slowest:.4g} ({len(m.seconds)})",
        speed,
        share,
        memory,
    ]


def _macs_rate(part: str, m: Measured) -> float:
    """Return the multiply-adds a second, 0 where the contender does not tell them."""
    macs = m.facts.get("macs", 0)
    if "training" in m.name or part == "training":
        macs *= _TRAINING_PASSES
    return macs / m.median


def markdown(device: str, machine: dict[str, str], found: Found) -> str:
    """Return the report in Markdown.

    device: "cpu" or "cuda". machine: label → value, of `bench.machine.describe`.
    """
    parts = ["# netrun beside others\n\n"]
    parts += [f"- {name}: {value}\n" for name, value in machine.items()]
    parts.append("\n")
    if device != "cuda":
        parts.append(_NO_GPU)
    parts += [_METHOD, "\n## Targets\n\n"]
    reached = [target.row() for target in targets(found, device)]
    parts.append(table(["target", "measured", "limit", ""], reached))
    parts += _agreement(found)
    parts += ["\n## Measurements\n\n", table(_COLUMNS, _rows(found))]
    for contenders in found.values():
        parts += [_by_type(m) for m in contenders.values() if _tells_types(m)]
    return "".join(parts)


def _agreement(found: Found) -> Iterator[str]:
    """Yield a line on how far the best detections of two or more contenders differ."""
    firsts = []
    for m in found.get("inference", {}).values():
        rounded = "bf16" in m.name or "tf32" in m.name
        if m.seconds and not rounded:
            firsts.append(m.facts["first"])
    if len(firsts) > 1:
        furthest = max(abs(a - b) for a, b in zip(*firsts, strict=True))
        yield (
            "\nThe best detection of netrun fp32 and that of OpenCV's DNN"
            f" differ by {furthest:.1g} at most.\n"
        )


def _tells_types(m: Measured) -> bool:
    """Return whether to report a contender's layer types: one image, full precision."""
    if not m.seconds or "by_type" not in m.facts:
        return False
    return (
        m.options["precision"] == "fp32"
        and m.options["batch"] == 1
        and m.name != "netrun fp32"  # the same as SSD300 among the detectors
    )


def _by_type(m: Measured) -> str:
    """Return a line of the layer types that take a thousandth of a forward pass or more."""
    total = sum(m.facts["by_type"].values())
    slowest_first = sorted(m.facts["by_type"].items(), key=lambda item: -item[1])
    shares = [(kind, seconds / total) for kind, seconds in slowest_first]
    listed = ", ".join(f"{kind} {share:.1%}" for kind, share in shares if share >= 0.001)
    return f"\n{m.name}, by layer type: {listed}\n"


def plot(found: Found, path: Path) -> None:
    """Draw bars of every part's medians into a PNG file."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    height = sum(0.8 + 0.32 * len(contenders) for contenders in found.values())
    figure, axes = plt.subplots(len(found), 1, figsize=(8, height), squeeze=False)
    for axis, (part, contenders) in zip(axes[:, 0], found.items(), strict=True):
        done = [m for m in reversed(contenders.values()) if m.seconds]
        bars = axis.barh(
            [m.name for m in done],
            [m.median * 1e3 for m in done],
            color=[_colour(m.name) for m in done],
        )
        axis.bar_label(bars, fmt="%.4g ms", padding=3)
        axis.set_title(part, loc="left")
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _colour(name: str) -> str:
    if "netrun" in name:
        return "C0"
    return "C7"


def write(folder: Path, device: str, machine: dict[str, str], found: Found) -> int:
    """Write DEVICE.md, .json and .png into a folder, and print the targets.

    Returns 1 if a contender failed, else 0.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reached = targets(found, device)
    content = {
        "machine": machine,
        "targets": [asdict(target) | {"met": target.met} for target in reached],
        "found": {part: _figures(contenders) for part, contenders in found.items()},
    }
    write_atomic(folder / f"{device}.json", json.dumps(content, indent=1) + "\n")
    write_atomic(folder / f"{device}.md", markdown(device, machine, found))
    plot(found, folder / f"{device}.png")
    for target in reached:
        verdict = "MISSED"
        if target.met:
            verdict = "met"
        print(f"{target.what}: {target.value:.3g}, target {target.bound}: {verdict}")
    print(f"written: {folder}/{device}.md, .json, .png")
    everything = (m for contenders in found.values() for m in contenders.values())
    return int(any(m.failed for m in everything))


def _figures(contenders: dict[str, Measured]) -> dict[str, Any]:
    """Return the contenders of a part for JSON, without options that name a temporary folder."""
    figures: dict[str, Any] = {}
    for name, m in contenders.items():
        figure = asdict(m)
        for option in _TEMPORARY:
            figure["options"].pop(option, None)
        figures[name] = figure
    return figures
