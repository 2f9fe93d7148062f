"""One case: a spoilt file, handed to what reads it.

It must be refused in one line (CaffeError), or be what it says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from math import prod
from pathlib import Path

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map, text, upgrade
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.phase import filter_net
from caffe_ir.walk import walk
from netrun import Solver
from netrun.data.loader import Loader, Plan
from netrun.data.transform import Transformer
from netrun.engine.engine import Engine
from netrun.runtime import memory
from ssd_common.errors import CaffeError
from tests.netrun.data import records
from tests.netrun.fuzz import files, others
from tests.netrun.fuzz.mutations import spoil_bytes, spoil_message, spoil_text
from tests.netrun.fuzz.nets import NETS, SOLVER
from tests.netrun.narrow import deploy_net, train_test_net
from tests.support import ROOT, SHARED

SMALL = 1 << 21  # values or multiply-adds: more are walked over, but not computed
DATA_DEPENDENT = (
    "DetectionOutput",
    "DetectionEvaluate",
    "AnnotatedData",
    "Data",
    "ImageData",
    "HDF5Data",
    "Filter",
    "Python",
)


@cache
def nets() -> list[str]:
    """Small nets, which are run."""
    golden = [
        str(np.load(path)["prototxt"])
        for part in ("layers", "detection", "fssd")
        for path in sorted((SHARED / "golden" / part).glob("*.npz"))
    ]
    return [*NETS, deploy_net(), train_test_net("lmdb", "lmdb", "labelmap.prototxt"), *golden]


@cache
def prototxts() -> list[str]:
    """Nets of every size and age, which are walked."""
    wild = [
        path
        for path in sorted((SHARED / "reference" / "wild").glob("*.p*t*"))
        if path.stat().st_size < 30000
    ]
    own = sorted((ROOT / "prototxt").glob("mobilenet_ssd*/*.prototxt")) + sorted(
        (ROOT / "prototxt").glob("ssd300_voc0712/*.prototxt")
    )
    return [path.read_bytes().decode("utf-8", "surrogateescape") for path in [*wild, *own]]


def image(height: int = 40, width: int = 48, seed: int = 0) -> bytes:
    pixels = (
        np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3)).astype(np.uint8)
    )
    return cv2.imencode(".jpg", cv2.resize(pixels, (width, height)))[1].tobytes()


BOXES = [(1, (0.1, 0.2, 0.6, 0.7), False), (2, (0.5, 0.1, 0.9, 0.9), True)]


def set_up() -> None:
    """In the present folder: the good files that cases spoil."""
    records.write(
        Path("lmdb"), [(f"{i:04d}", records.record(image(seed=i), BOXES)) for i in range(5)]
    )
    records.write(Path("spoilt"), [("k", b"v")])
    Path("labelmap.prototxt").write_text(
        "".join(f'item {{ name: "n{i}" label: {i} display_name: "n{i}" }}\n' for i in range(6))
    )
    for form in ("BINARYPROTO", "HDF5"):
        Solver(text.parse(f"{SOLVER} snapshot_format: {form}", pb.SolverParameter)).step(2)


def run_net(net: pb.NetParameter) -> None:
    """Both phases of a net: built, computed, blobs as its walk says; backward in TRAIN."""
    for phase in (pb.TRAIN, pb.TEST):
        walked = walk(filter_net(net, phase))
        size = sum(prod(shape) for shape in walked.blobs.values())
        params = walked.learnable + walked.statistics
        if walked.macs > SMALL * 8 or size > SMALL or SMALL < params < 1 << 31:
            continue
        engine = Engine(net, phase)
        try:
            assert params < 1 << 31, "so many parameters fit no memory"
            engine.run()
            dependent = {
                top
                for layer in engine.param.layer
                if layer.type in DATA_DEPENDENT
                for top in layer.top
            }
            for name, shape in walked.blobs.items():
                found = tuple(engine.blobs[name].shape)
                assert found == tuple(shape) or dependent, (
                    f"blob {name} is {found}, its walk says {shape}"
                )
            if phase == pb.TRAIN and engine.loss.requires_grad:
                engine.loss.backward()
        finally:
            engine.close()


def net_text(draw: random.Random) -> None:
    Path("net.prototxt").write_bytes(
        spoil_text(draw, draw.choice(nets()), nets()).encode("utf-8", "surrogateescape")
    )
    run_net(text.read_net("net.prototxt"))


def net_message(draw: random.Random) -> None:
    net = text.parse(draw.choice(nets()), pb.NetParameter)
    for _ in range(draw.choice((1, 1, 2, 3))):
        spoil_message(draw, net)
    Path("net.prototxt").write_text(text.dumps(net))
    again = text.read_net("net.prototxt")
    upgrade.upgrade_net(net, "net.prototxt")
    assert again.SerializeToString(deterministic=True) == net.SerializeToString(
        deterministic=True
    ) or "nan" in text.dumps(net)
    run_net(again)


def large_net(draw: random.Random) -> None:
    Path("net.prototxt").write_bytes(
        spoil_text(draw, draw.choice(prototxts()), prototxts()).encode("utf-8", "surrogateescape")
    )
    net = text.read_net("net.prototxt")
    for phase in (pb.TRAIN, pb.TEST):
        walk(filter_net(net, phase))


def solver(draw: random.Random) -> None:
    words = (
        SOLVER
        if draw.random() < 0.8
        else draw.choice([p for p in prototxts() if "base_lr" in p] or [SOLVER])
    )
    if draw.random() < 0.5:
        param = text.parse(words, pb.SolverParameter)
        for _ in range(draw.choice((1, 1, 3))):
            spoil_message(draw, param)
        words = text.dumps(param)
    else:
        words = spoil_text(draw, words, [SOLVER, *nets()])
    Path("solver.prototxt").write_bytes(words.encode("utf-8", "surrogateescape"))
    param = text.read_solver("solver.prototxt")
    for field, most in (
        ("iter_size", 3),
        ("average_loss", 100),
    ):  # a user may want to wait for more
        setattr(param, field, min(getattr(param, field), most))
    param.test_iter[:] = [min(n, 2) for n in param.test_iter]
    for net in (param.net_param, param.train_net_param, *param.test_net_param):
        if sum(prod(shape) for shape in walk(filter_net(net, pb.TRAIN)).blobs.values()) > SMALL:
            return
    found = Solver(param)
    try:
        found.step(2)
    finally:
        found.close()


def caffemodel(draw: random.Random, suffix: str = "") -> None:
    spoilt = Path(f"spoilt.caffemodel{suffix}")
    spoilt.write_bytes(spoil_bytes(draw, Path(f"good/n_iter_2.caffemodel{suffix}").read_bytes()))
    engine = Engine(text.parse(SOLVER, pb.SolverParameter).net_param, pb.TRAIN)
    shapes = [tuple(t.tensor.shape) for t in engine.learnable]
    engine.copy_from(spoilt)
    assert shapes == [tuple(t.tensor.shape) for t in engine.learnable]
    assert all(t.tensor.isfinite().all() for t in engine.learnable)
    engine.run()


def solverstate(draw: random.Random, suffix: str = "") -> None:
    spoilt = Path(f"good/spoilt.solverstate{suffix}")
    spoilt.write_bytes(spoil_bytes(draw, Path(f"good/n_iter_2.solverstate{suffix}").read_bytes()))
    found = Solver(text.parse(SOLVER.replace("good", "new"), pb.SolverParameter))
    found.restore(spoilt)
    assert found.iter >= 0
    assert all(h.isfinite().all() for h in found.updater.history)
    found.step(1)


class _Records(LmdbReader):
    """Records that come from no file."""

    def __init__(self, values: list[bytes]) -> None:
        self.source, self.values, self.keys = (
            "records",
            values,
            [b"k%d" % i for i in range(len(values))],
        )

    def __len__(self) -> int:
        return len(self.values)

    def value(self, index: int) -> bytes:
        return self.values[index]

    def close(self) -> None: ...


@cache
def _data_layer() -> pb.LayerParameter:
    return filter_net(text.parse(train_test_net("lmdb", "lmdb"), pb.NetParameter), pb.TRAIN).layer[
        0
    ]


def _load(reader, seed: int) -> None:
    layer = _data_layer()
    transformer = Transformer(
        layer.transform_param, layer.annotated_data_param.batch_sampler, pb.TRAIN, None
    )
    loader = Loader(
        reader, transformer, Plan(2, seed, labels=frozenset(range(6)), threads=1, ahead=0), True
    )
    try:
        for _ in range(2):
            data, labels = next(loader)
            assert tuple(data.shape) == (2, 3, 64, 64)
            assert data.isfinite().all()
            rows = labels[0, 0]
            real = rows[rows[:, 0] >= 0]
            assert ((real[:, 3:7] >= 0) & (real[:, 3:7] <= 1)).all()
            assert (real[:, 3:5] < real[:, 5:7]).all()
            assert ((real[:, 1] >= 0) & (real[:, 1] < 6)).all()
    finally:
        loader.close()


def record(draw: random.Random) -> None:
    good = records.record(image(), BOXES)
    if draw.random() < 0.5:
        value = spoil_bytes(draw, good)
    else:
        message = pb.AnnotatedDatum.FromString(good)
        for _ in range(draw.choice((1, 2, 4))):
            spoil_message(draw, message)
        value = message.SerializeToString()
    _load(_Records([value, good] if draw.random() < 0.8 else [value]), draw.randrange(100))


def jpeg(draw: random.Random) -> None:
    value = records.record(spoil_bytes(draw, image()), BOXES)
    _load(_Records([value, records.record(image(), BOXES)]), draw.randrange(100))


def lmdb(draw: random.Random) -> None:
    Path("spoilt/data.mdb").write_bytes(spoil_bytes(draw, Path("lmdb/data.mdb").read_bytes()))
    _load(LmdbReader("spoilt"), draw.randrange(100))


def labelmap(draw: random.Random) -> None:
    good = Path("labelmap.prototxt").read_text()
    Path("spoilt_map.prototxt").write_bytes(
        spoil_text(draw, good, [good, *NETS]).encode("utf-8", "surrogateescape")
    )
    label_map.read("spoilt_map.prototxt")


KINDS: dict[
    str, tuple[int, Callable[[random.Random], None]]
] = {  # how often among all, and the case
    "net_text": (24, net_text),
    "net_message": (30, net_message),
    "large_net": (5, large_net),
    "solver": (8, solver),
    "caffemodel": (10, caffemodel),
    "solverstate": (8, solverstate),
    "hdf5_model": (4, lambda draw: caffemodel(draw, ".h5")),
    "hdf5_state": (4, lambda draw: solverstate(draw, ".h5")),
    "record": (6, record),
    "jpeg": (4, jpeg),
    "lmdb": (4, lmdb),
    "labelmap": (3, labelmap),
    "weights_command": (3, others.weights_command),
    "coco": (4, others.coco),
    "dataset": (4, others.dataset),
    "mean": (2, files.mean),
    "sizes": (2, files.sizes),
    "images": (2, files.images),
    "windows": (2, files.windows),
    "shards": (2, files.shards),
    "log": (1, files.log),
    "picture": (2, lambda draw: others.picture(draw, image())),
}


def drawn(
    seed: int, first: int, count: int, only: str | None = None
) -> Iterator[tuple[int, str, random.Random]]:
    """Numbers, kinds and generators of cases; each depends on nothing but its seed and number."""
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    for number in range(first, first + count):
        draw = random.Random(f"{seed}/{number}")
        kind = draw.choices(names, weights)[0]
        if only in (None, kind):
            yield number, kind, draw


def outcome(kind: str, draw: random.Random) -> str:
    """Run a case: "accepted" or "refused". Raises whatever is neither."""
    try:
        KINDS[kind][1](draw)
    except CaffeError as error:
        if "\n" in str(error) or not str(error):
            raise AssertionError(f"not one line: {str(error)!r}") from error
        return "refused"
    except Exception as error:
        if not memory.exhausted(
            error
        ):  # netrun's commands make one line of it, with a batch that fits
            raise
        return "refused"
    return "accepted"
