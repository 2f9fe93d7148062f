"""Measure how fast data_prep converts and netrun loads, beside bare loops and targets.

The data are drawn for it; the figures go into conversion.md.
usage: python -m bench.conversion [--records 20000] [--out DIR]    (`make bench-data` calls it)
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from bench import bare_loops, machine, noise
from bench.nets import ROOT
from bench.report import table
from ssd_common.arguments import Parser
from ssd_common.command import run_command
from ssd_common.files import write_atomic
from ssd_common.machine import cores

COPY_COST = 1.5  # most time of one process that copies, in units of the bare loop's
NO_SLOWER = 0.95  # least rate of several workers, in units of one's; the rest is noise
COPIES_PER_SECOND = 5000  # the target for 2 workers on 2 cores; the fork's own tool makes about 324
DECODER_SHARE = 0.8  # of the rate of as many processes that only decode, resize and encode
RESIZED_SETS = 3  # records of the resized list, in numbers of distinct images
_COLUMNS = ["", "images/s", "of the bare loop", "target"]


@dataclass
class Figures:
    """The rows of the report; each is printed as it is measured."""

    rows: list[list[str]] = field(default_factory=list)
    missed: bool = False

    def tell(
        self,
        what: str,
        rate: float,
        *,
        target: float | None = None,
        of: float | None = None,
    ) -> None:
        """Add a row.

        what: what was measured. rate: images a second. target: the least rate that is wanted.
        of: the rate of a bare loop to compare with.
        """
        share = ""
        if of:
            share = f"{rate / of:.2f}"
        row = [what, f"{rate:.0f}", share, self._aim(rate, target)]
        self.rows.append(row)
        print(*row, sep="  ", flush=True)

    def _aim(self, rate: float, target: float | None) -> str:
        if target is None:
            return ""
        if rate < target:
            self.missed = True
            return f"≥ {target:.0f}, **missed**"
        return f"≥ {target:.0f}, met"


@dataclass(frozen=True)
class Sets:
    """One list of the drawn data.

    folder: for LMDBs. voc: the VOC-style folder. lines: the list. listed: its file.
    """

    folder: Path
    voc: Path
    listed: Path
    lines: list[str]

    @property
    def lmdb(self) -> Path:
        """The LMDB that data_prep builds."""
        return self.folder / "out/lmdb"


def best(measure: Callable[..., float], *arguments: object) -> float:
    """Return the shortest of three times: an earlier run's data may still be going to the disk."""
    return min(measure(*arguments) for _ in range(3))


def _bare_loop(sets: Sets, convert: Callable[[bytes], bytes]) -> float:
    """Return the images a second of one process that only reads, converts and writes."""
    bare = sets.folder / "bare"
    return len(sets.lines) / best(bare_loops.afresh, bare, sets.voc, sets.lines, convert)


def _data_prep(sets: Sets, workers: int, *flags: str) -> float:
    """Return the images a second of `data_prep voc`."""
    arguments = (sets.voc, sets.listed, sets.lmdb, *flags, f"--workers={workers}")
    return len(sets.lines) / best(bare_loops.build, *arguments)


def _measured_workers() -> list[int]:
    most = cores()
    return sorted({1, min(most, 2), most})


def _copied(figures: Figures, sets: Sets) -> None:
    loop = _bare_loop(sets, bytes)
    figures.tell("copied: a bare loop, one process", loop)
    target = loop / COPY_COST
    alone = 0.0
    for workers in _measured_workers():
        if alone:
            target = max(COPIES_PER_SECOND * workers / 2, NO_SLOWER * alone)
        rate = _data_prep(sets, workers)
        alone = alone or rate
        figures.tell(f"copied: data_prep voc --workers {workers}", rate, target=target, of=loop)


def _resized(figures: Figures, sets: Sets) -> None:
    what = "resized to 512x512"
    flags = ("--resize-width=512", "--resize-height=512")
    loop = _bare_loop(sets, bare_loops.resized)
    figures.tell(f"{what}: a bare loop, one process", loop)
    for workers in _measured_workers():
        rate = _data_prep(sets, workers, *flags)
        target = None
        if workers > 1:
            loop = len(sets.lines) / best(bare_loops.decoders, sets.voc, sets.lines, workers)
            figures.tell(f"{what}: no more than that, {workers} processes", loop)
            target = DECODER_SHARE * loop
        figures.tell(f"{what}: data_prep voc --workers {workers}", rate, target=target, of=loop)


def _sets(folder: Path, voc: Path, name: str, lines: list[str]) -> Sets:
    listed = folder / name
    listed.write_text("".join(lines))
    return Sets(folder, voc, listed, lines)


def _parser() -> Parser:
    parser = Parser(prog="python -m bench.conversion", description=__doc__)
    parser.add_argument(
        "--records",
        type=int,
        default=20000,
        help="of the LMDB that is copied (default: 20000)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "bench/results",
        help="for conversion.md (default: bench/results)",
    )
    return parser


def _report(facts: dict[str, str], figures: Figures) -> str:
    listed = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    method = "`make bench-data` measured this, the best of three runs each."
    rows = table(_COLUMNS, figures.rows)
    return f"# data_prep beside bare loops\n\n{listed}\n{method}\n\n{rows}"


def main(argv: Sequence[str]) -> int:
    """Measure data preparation, and write the figures.

    Returns 1 if a target is missed, else 0. Raises CaffeError for an unknown flag.
    """
    args = _parser().parse_args(argv)
    records: int = args.records
    cv2.setNumThreads(1)  # of the bare loops, which are one process
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voc = folder / "voc"
        distinct = noise.draw(voc)
        repeats = -(-records // noise.IMAGES)
        every = _sets(folder, voc, "all.txt", (distinct * repeats)[:records])
        fewer = _sets(folder, voc, "some.txt", every.lines[: RESIZED_SETS * noise.IMAGES])
        data = f"{records} records of {noise.described(voc, distinct)}"
        print(data, flush=True)
        _copied(figures, every)
        _resized(figures, fewer)
        seconds = best(bare_loops.load, fewer.lmdb, 30)
        figures.tell("loaded through SSD's augmentation: netrun", 1 / seconds)
    facts = machine.describe()
    facts["data"] = f"{data}; {len(fewer.lines)} of them where images are resized"
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out / "conversion.md", _report(facts, figures))
    return int(figures.missed)


if __name__ == "__main__":
    sys.exit(run_command("bench", main))
