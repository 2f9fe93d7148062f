"""How fast data_prep converts and netrun loads, against bare loops and targets, on a set drawn for it; writes conversion.md.

usage: python -m bench.conversion [--records 20000] [--out DIR]    (`make bench-data` calls it)
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter
from xml.etree import ElementTree

import cv2
import lmdb
import numpy as np

import netgen
import netrun
from bench import machine
from bench.report import table
from caffe_ir import text
from data_prep.shapes.shapes import annotation_xml
from data_prep.sources.source import Object
from ssd_common.arguments import Parser
from ssd_common.command import run_command
from ssd_common.files import write_atomic
from ssd_common.machine import cores

ROOT = Path(__file__).resolve().parent.parent
IMAGES, SIDE = 2000, 300  # distinct ones, 300x300 pixels and about 25 kB each
COPIES_PER_SECOND = 5000  # the target for 2 workers on 2 cores; the fork's own tool makes about 324
DECODER_SHARE = 0.8  # of what as many processes make that only decode, resize and encode
SETS = ("Annotations", "JPEGImages")


def draw(root: Path) -> list[str]:
    """A VOC-style folder of smooth noise; the lines of its list."""
    rng = np.random.default_rng(0)
    for part in SETS:
        (root / part).mkdir(parents=True)
    lines = []
    for i in range(IMAGES):
        coarse = cv2.resize(rng.integers(0, 256, (40, 40, 3), np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        pixels = np.clip(coarse.astype(np.int16) + rng.integers(-12, 13, coarse.shape, np.int16), 0, 255).astype(np.uint8)
        (root / f"JPEGImages/{i}.jpg").write_bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())
        corners = rng.integers(0, SIDE - 60, (1 + i % 4, 2)).tolist()
        objects = [Object(("cat", "dog")[k % 2], False, x, y, x + 60, y + 40, 0) for k, (x, y) in enumerate(corners)]
        (root / f"Annotations/{i}.xml").write_text(annotation_xml(str(i), SIDE, objects))
        lines.append(f"JPEGImages/{i}.jpg Annotations/{i}.xml\n")
    return lines


def put_all(folder: Path, root: Path, lines: list[str], convert: Callable[[bytes], bytes]) -> float:
    """Seconds of the bare loop: records written to a new LMDB in commits of 1000, and no more."""
    shutil.rmtree(folder, ignore_errors=True)
    start = perf_counter()
    with lmdb.open(str(folder), map_size=4 << 30, sync=False) as env:
        transaction = env.begin(write=True)
        for number, (key, value) in enumerate(bare(root, lines, convert), 1):
            transaction.put(key, value, append=True)
            if number % 1000 == 0:
                transaction.commit()
                transaction = env.begin(write=True)
        transaction.commit()
        env.sync(True)
    return perf_counter() - start


def bare(root: Path, lines: list[str], convert: Callable[[bytes], bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Files read, XML parsed, and nothing made of it."""
    for number, line in enumerate(lines):
        image, annotation = line.split()
        with open(root / image, "rb") as file:
            data = file.read()
        ElementTree.parse(root / annotation)
        yield f"{number:08d}_{image}".encode(), convert(data)


def resized(data: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return cv2.imencode(".jpg", cv2.resize(pixels, (512, 512)))[1].tobytes()


def resize_all(root: Path, lines: list[str]) -> None:
    cv2.setNumThreads(1)
    for line in lines:
        resized((root / line.split()[0]).read_bytes())


def decoders(root: Path, lines: list[str], workers: int) -> float:
    """Seconds in which so many processes decode, resize and encode, and do no more."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver")) as pool:
        work = functools.partial(resize_all, root)
        list(pool.map(work, [lines[:20]] * workers))  # once they are there
        start = perf_counter()
        list(pool.map(work, [lines[i::workers] for i in range(workers)]))
        return perf_counter() - start


def afresh(*arguments: object) -> float:
    """put_all in a new process, as every build is one."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("forkserver")) as pool:
        return pool.submit(put_all, *arguments).result()  # type: ignore[arg-type]


def best(measure: Callable[..., float], *arguments: object) -> float:
    """The shortest of three times: what an earlier one wrote may still be on its way to the disk."""
    return min(measure(*arguments) for _ in range(3))


def build(root: Path, listed: Path, out: Path, *flags: str) -> float:
    """Seconds of one build, the interpreter's start included."""
    shutil.rmtree(out.parent, ignore_errors=True)
    argv = [sys.executable, "-m", "data_prep", "voc", str(root), "--list", str(listed), "--out", str(out), *flags]
    start = perf_counter()
    subprocess.run(argv, cwd=root, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    return perf_counter() - start


def load(source: Path, batches: int) -> float:
    """Seconds for an image through SSD's augmentation, as a training net is fed."""
    cv2.setNumThreads(0)
    layer = netgen.build("ssd300_voc0712", "train").layer[0]
    layer.data_param.source = str(source)
    layer.annotated_data_param.label_map_file = str(source.with_name("labelmap.prototxt"))
    file = source.with_name("data.prototxt")
    file.write_text(text.dumps(type(netgen.build("ssd300_voc0712", "train"))(layer=[layer])))
    net = netrun.Net(str(file), netrun.TRAIN)
    net.forward()
    start = perf_counter()
    for _ in range(batches):
        net.forward()
    return (perf_counter() - start) / (batches * layer.data_param.batch_size)


def main(argv: Sequence[str]) -> int:
    """Measure data preparation, and write the figures. Returns 1 where a target is missed."""
    parser = Parser(prog="python -m bench.conversion", description=__doc__)
    parser.add_argument("--records", type=int, default=20000, help="of the LMDB that is copied (default: 20000)")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results", help="for conversion.md (default: bench/results)")
    args = parser.parse_args(argv)
    records: int = args.records
    cv2.setNumThreads(1)  # of the bare loops, which are one process
    missed = 0
    rows: list[list[str]] = []

    def tell(what: str, rate: float, target: float | None = None, of: float | None = None) -> float:
        nonlocal missed
        missed += target is not None and rate < target
        aim = "" if target is None else f"≥ {target:.0f}, " + ("**missed**" if rate < target else "met")
        rows.append([what, f"{rate:.0f}", f"{rate / of:.2f}" if of else "", aim])
        print(*rows[-1], sep="  ", flush=True)
        return rate

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        distinct = draw(folder / "voc")
        lines = (distinct * -(-records // IMAGES))[:records]
        (folder / "all.txt").write_text("".join(lines))
        fewer = lines[: 3 * IMAGES]
        (folder / "some.txt").write_text("".join(fewer))
        sizes = [(folder / "voc" / line.split()[0]).stat().st_size for line in distinct]
        data = f"{records} records of {IMAGES} images of {SIDE}x{SIDE} pixels, {sum(sizes) / IMAGES / 1000:.0f} kB each"
        print(data, flush=True)
        for what, convert, listed, flags in (
            ("copied", bytes, "all.txt", []),
            ("resized to 512x512", resized, "some.txt", ["--resize-width=512", "--resize-height=512"]),
        ):
            chosen = lines if listed == "all.txt" else fewer
            loop = tell(f"{what}: a bare loop, one process", len(chosen) / best(afresh, folder / "bare", folder / "voc", chosen, convert))
            for workers in sorted({1, min(cores(), 2), cores()}):
                took = best(build, folder / "voc", folder / listed, folder / "out/lmdb", *flags, f"--workers={workers}")
                if flags and workers > 1:
                    decoding = len(chosen) / best(decoders, folder / "voc", chosen, workers)
                    loop = tell(f"{what}: no more than that, {workers} processes", decoding)
                share = DECODER_SHARE * loop if flags else COPIES_PER_SECOND * workers / 2
                tell(f"{what}: data_prep voc --workers {workers}", len(chosen) / took, share if workers > 1 else None, loop)
        tell("loaded through SSD's augmentation: netrun", 1 / best(load, folder / "out/lmdb", 30))
    facts = machine.describe() | {"data": f"{data}; {len(fewer)} of them where images are resized"}
    args.out.mkdir(parents=True, exist_ok=True)
    columns = ["", "images/s", "of the bare loop", "target"]
    said = "# data_prep beside bare loops\n\n" + "".join(f"- {name}: {value}\n" for name, value in facts.items())
    write_atomic(
        args.out / "conversion.md", f"{said}\n`make bench-data` measured this, the best of three runs each.\n\n{table(columns, rows)}"
    )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(run_command("bench", main))
