"""What a benchmark found: targets met or missed, a table in Markdown, the figures as JSON, a plot."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

from ssd_common.files import write_atomic

_MiB = 2**20


@dataclass
class Measured:
    """A contender's turns. seconds: of each turn. work: units (images, steps) in one turn. failed: what it said instead."""

    name: str
    options: dict[str, Any]
    seconds: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    memory: int = 0
    failed: str = ""

    @property
    def median(self) -> float:
        return median(self.seconds) if self.seconds else float("nan")

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.options.get("images", self.options.get("batch", 1)) / self.median


Found = dict[str, dict[str, Measured]]


@dataclass(frozen=True)
class Target:
    """A ratio or a rate that is to stay below, or above, a limit."""

    what: str
    value: float
    limit: float
    above: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.above else self.value <= self.limit

    def row(self) -> list[str]:
        return [self.what, f"{self.value:.3g}", f"{'≥' if self.above else '≤'} {self.limit:g}", "met" if self.met else "**missed**"]


def targets(found: Found, device: str) -> list[Target]:
    """Those that the parts which ran can tell."""
    out = []
    inference, training, loading = ({n: m for n, m in found.get(p, {}).items() if m.seconds} for p in ("inference", "training", "loading"))
    mine = inference.get("netrun fp32")
    if mine and "OpenCV DNN" in inference and device == "cpu":
        ratio = mine.median / inference["OpenCV DNN"].median
        out.append(Target("SSD300 inference, 1 image: time of OpenCV's DNN", ratio, 0.9))
    if mine:
        spent = mine.facts["by_type"]
        out.append(Target("DetectionOutput: share of SSD300 inference", spent["DetectionOutput"] / sum(spent.values()), 0.05))
        out.append(Target("SSD300 inference: peak memory over weights and activations", _excess(mine), 1.3))
    bare = [m.median for name, m in training.items() if name.startswith("PyTorch")]
    step = training.get("netrun fp32")
    if step and bare:
        out.append(Target("SSD300 training step: time of PyTorch's forward and backward alone", step.median / min(bare), 1.2))
    if step:
        loss = step.facts["parts"]["MultiBoxLoss, forward and backward"]
        out.append(Target("MultiBoxLoss, forward and backward: share of an SSD300 training step", loss / step.median, 0.05))
        out.append(Target("SSD300 training: peak memory over what weights, gradients, momentum and blobs take", _excess(step), 1.3))
    if "netrun" in loading:
        out.append(Target("loader, images a second", loading["netrun"].rate, 500, above=True))
        trained = [m.rate for m in found.get("detectors", {}).values() if m.seconds and "training" in m.name]
        if trained and device != "cpu":
            out.append(
                Target("loader: images a second over those of the fastest training", loading["netrun"].rate / max(trained), 1, above=True)
            )
    return out


def _excess(m: Measured) -> float:
    return m.memory / sum(m.facts["needed"].values())


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _rows(found: Found) -> list[list[str]]:
    """A row for each contender: part, name, median and range in ms, images a second, share of the matrix rate, memory."""
    peak = {name: m.facts["macs"] / m.median for name, m in found.get("matrices", {}).items() if m.seconds}
    rows = []
    for part, contenders in found.items():
        for m in contenders.values():
            if not m.seconds:
                rows.append([part, m.name, f"failed: {m.failed}", "", "", "", ""])
                continue
            work = m.facts.get("macs", 0) * (3 if "training" in m.name or part == "training" else 1) / m.median
            share = work / peak[m.options["precision"]] if part != "matrices" and work and m.options["precision"] in peak else 0
            spread = f"{min(m.seconds) * 1e3:.4g}–{max(m.seconds) * 1e3:.4g}"
            speed = f"{2 * work / 1e12:.3g} TFLOP/s" if part == "matrices" else f"{m.rate:.4g}"
            memory = f"{m.memory / _MiB:.0f}" if m.memory else ""
            rows.append(
                [part, m.name, f"{m.median * 1e3:.4g}", f"{spread} ({len(m.seconds)})", speed, f"{share:.0%}" if share else "", memory]
            )
    return rows


def markdown(device: str, machine: dict[str, str], found: Found) -> str:
    """The report."""
    gpu = "" if device == "cuda" else "No GPU was at hand: this benchmark's GPU part has never run.\n\n"
    columns = ["part", "contender", "median, ms", "range, ms (turns)", "images/s", "of the matrix rate", "memory, MiB"]
    text = "# netrun beside others\n\n" + "".join(f"- {name}: {value}\n" for name, value in machine.items())
    text += f"\n{gpu}`make bench` measured this: contenders in processes of their own take turns; medians are compared. Weights are random "
    text += "(all confidences are alike: the most work that DetectionOutput can have); images are noise, for the loader drawn JPEGs.\n"
    text += "Memory is the peak of running above what the process had before its net was built, the batch included.\n\n## Targets\n\n"
    text += table(["target", "measured", "limit", ""], [t.row() for t in targets(found, device)])
    firsts = [m.facts["first"] for m in found.get("inference", {}).values() if m.seconds and "bf16" not in m.name and "tf32" not in m.name]
    if len(firsts) > 1:
        furthest = max(abs(a - b) for a, b in zip(*firsts, strict=True))
        text += f"\nThe best detection of netrun fp32 and that of OpenCV's DNN differ by {furthest:.1g} at most.\n"
    text += "\n## Measurements\n\n" + table(columns, _rows(found))
    for m in (m for contenders in found.values() for m in contenders.values() if m.seconds):
        if "by_type" in m.facts and m.options["precision"] == "fp32" and m.options["batch"] == 1 and m.name != "netrun fp32":
            total = sum(m.facts["by_type"].values())
            shares = sorted(m.facts["by_type"].items(), key=lambda item: -item[1])
            listed = ", ".join(f"{kind} {spent / total:.1%}" for kind, spent in shares if spent / total >= 0.001)
            text += f"\n{m.name}, by layer type: {listed}\n"
    return text


def plot(found: Found, path: Path) -> None:
    """Bars of every part's medians."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axes = plt.subplots(len(found), 1, figsize=(8, sum(0.8 + 0.32 * len(c) for c in found.values())), squeeze=False)
    for axis, (part, contenders) in zip(axes[:, 0], found.items(), strict=True):
        done = [m for m in reversed(list(contenders.values())) if m.seconds]
        bars = axis.barh([m.name for m in done], [m.median * 1e3 for m in done], color=["C0" if "netrun" in m.name else "C7" for m in done])
        axis.bar_label(bars, fmt="%.4g ms", padding=3)
        axis.set_title(part, loc="left")
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write(folder: Path, device: str, machine: dict[str, str], found: Found) -> int:
    """Write DEVICE.md, .json and .png, and print the targets; 1 where a contender failed, else 0."""
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {part: {name: asdict(m) for name, m in contenders.items()} for part, contenders in found.items()}
    for contenders in figures.values():
        for m in contenders.values():
            m["options"] = {k: v for k, v in m["options"].items() if k not in ("folder", "weights", "source")}  # of a temporary folder
    reached = [asdict(t) | {"met": t.met} for t in targets(found, device)]
    write_atomic(folder / f"{device}.json", json.dumps({"machine": machine, "targets": reached, "found": figures}, indent=1) + "\n")
    write_atomic(folder / f"{device}.md", markdown(device, machine, found))
    plot(found, folder / f"{device}.png")
    for t in targets(found, device):
        print(f"{t.what}: {t.value:.3g}, target {'≥' if t.above else '≤'} {t.limit:g}: {'met' if t.met else 'MISSED'}")
    print(f"written: {folder}/{device}.md, .json, .png")
    return int(any(m.failed for contenders in found.values() for m in contenders.values()))
