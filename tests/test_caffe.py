"""The zoo in a real Caffe, the SSD fork.

Caffe loads every committed net, trains as netrun does, and shares snapshots with it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.splits import insert_splits
from data_prep.cli import main as data_prep
from tests.support import CAFFE, ROOT, caffe_environment, needs_caffe
from tests.test_run import environment

pytestmark = [pytest.mark.caffe, needs_caffe]

# tests/netgen/test_caffe_zoo.py sets up nets with a Python layer and looks after its import.
NETS = [
    path.relative_to(ROOT / "prototxt")
    for path in sorted(ROOT.glob("prototxt/*/*.prototxt"))
    if path.stem in ("train", "test", "deploy") and 'type: "Python"' not in path.read_text()
]
ENGINES = {"caffe": [str(CAFFE)], "netrun": [sys.executable, "-m", "netrun"]}
PYTHON_LAYERS = ROOT / "netgen/python_layers"
MODULES = {
    "caffe": [PYTHON_LAYERS, CAFFE.parents[2] / "python"],
    "netrun": [ROOT, PYTHON_LAYERS],
}
BATCH = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with drawn images under every name that a committed net reads."""
    here = tmp_path_factory.mktemp("caffe")
    data_prep(
        ["shapes", "--out", str(here / "data/shapes"), "--train", str(2 * BATCH), "--test", "4"]
    )
    names = {
        name
        for net in NETS
        for name in re.findall(r'"(data/[^"]+)"', (ROOT / "prototxt" / net).read_text())
    }
    for path in (here / name for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name.endswith("_name_size.txt"):  # Caffe wants as many as num_test_image
            path.write_text("".join(f"{i} 300 300\n" for i in range(11000)))
        elif path.exists():
            continue
        elif path.name.endswith("_lmdb"):
            path.symlink_to(here / "data/shapes/train_lmdb")
        else:
            path.write_bytes((ROOT / "data_prep/labelmaps" / path.name).read_bytes())
    return here


def log_of(engine: str, folder: Path, solver: pb.SolverParameter, *flags: str) -> str:
    """Run `ENGINE train` in the folder; what it says."""
    text.write(solver, folder / "solver.prototxt")
    command = [*ENGINES[engine], "train", "--solver=solver.prototxt", *flags]
    modules = os.pathsep.join(map(str, MODULES[engine]))
    done = subprocess.run(
        command,
        cwd=folder,
        env=caffe_environment(PYTHONPATH=modules, GLOG_logtostderr="1"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def train(engine: str, folder: Path, solver: pb.SolverParameter, *flags: str) -> dict[int, float]:
    """Run `ENGINE train` in the folder; the loss of every iteration shown."""
    return {
        int(i): float(loss)
        for i, loss in re.findall(
            r"Iteration (\d+), loss = (\S+)", log_of(engine, folder, solver, *flags)
        )
    }


def solver_of(zoo_id: str, **fields: object) -> pb.SolverParameter:
    """The committed solver without its test net, on the CPU."""
    solver = text.read_solver(ROOT / "prototxt" / zoo_id / "solver.prototxt")
    for field in ("test_net", "test_iter", "test_interval", "test_initialization", "snapshot"):
        solver.ClearField(field)
    solver.MergeFrom(pb.SolverParameter(solver_mode=pb.SolverParameter.CPU, **fields))
    return solver


@pytest.mark.parametrize("net", NETS, ids=lambda net: str(net.with_suffix("")))
def test_caffe_loads(net: Path, folder: Path) -> None:
    """Caffe sets up any net as the train net of a solver that takes no step, and computes nothing.

    That holds whatever the file's phase. Caffe connects the layers, with the Splits that it adds,
    as netrun does.
    """
    own = {
        "train_net": str(ROOT / "prototxt" / net),
        "snapshot_prefix": "none",
        "snapshot_after_train": False,
    }
    solver = solver_of(net.parent.name, max_iter=0, display=0, **own)
    solver.train_state.phase = pb.TRAIN if net.stem == "train" else pb.TEST
    said = re.findall(r"] (\S+) (<-|->) (\S+)", log_of("caffe", folder, solver))
    wired = insert_splits(
        filter_net(text.read_net(ROOT / "prototxt" / net), solver.train_state.phase)
    )
    ends = (
        (layer.name, way, blob)
        for layer in wired.layer
        for way, blobs in (("<-", layer.bottom), ("->", layer.top))
        for blob in blobs
    )
    assert said == list(ends)


def without_chance(zoo_id: str, folder: Path) -> pb.NetParameter:
    """Return the committed train net without random augmentation, at a small batch."""
    net = text.read_net(ROOT / "prototxt" / zoo_id / "train.prototxt")
    data = net.layer[0]
    for field in ("mirror", "distort_param", "expand_param"):
        data.transform_param.ClearField(field)
    del data.transform_param.resize_param.interp_mode[1:]
    # What Caffe samples, it codes as JPEG once more.
    data.annotated_data_param.ClearField("batch_sampler")
    data.data_param.batch_size = BATCH
    data.data_param.source = str(folder / data.data_param.source)
    data.annotated_data_param.label_map_file = str(
        folder / data.annotated_data_param.label_map_file
    )
    return net


def smooth(net: pb.NetParameter) -> pb.NetParameter:
    """Replace ReLU by ELU and the maximum by the average: no kinks are left.

    Where a ReLU's input, or the difference of two candidates of a maximum, is next to nothing,
    rounding decides where gradients go, and a step multiplies the engines' difference.
    """
    for layer in net.layer:
        layer.type = "ELU" if layer.type == "ReLU" else layer.type
        if layer.type == "Pooling":
            layer.pooling_param.pool = pb.PoolingParameter.AVE
    return net


def save_initial_weights(net: pb.NetParameter, file: Path) -> None:
    initial = netrun.Net(net, netrun.TRAIN, seed=1)
    initial.save(file)
    initial.close()


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """fssd_tiny_shapes without chance, as train.prototxt and smooth.prototxt, and their weights."""
    net = without_chance("fssd_tiny_shapes", folder)
    text.write(net, folder / "train.prototxt")
    save_initial_weights(net, folder / "initial.caffemodel")
    text.write(smooth(net), folder / "smooth.prototxt")
    return folder


def steps(net: str, prefix: str, count: int, **fields: object) -> pb.SolverParameter:
    """Steps whose every loss is shown."""
    own = {"base_lr": 1e-3, "display": 1, "average_loss": 1, "max_iter": count}
    return solver_of("fssd_tiny_shapes", train_net=net, snapshot_prefix=prefix, **own, **fields)


def test_a_python_layer_trains_alike(folder: Path) -> None:
    """PPN's focal loss and its gradient, in Caffe's Python and in netrun's."""
    net = smooth(without_chance("ppn300_coco", folder))
    assert "Python" in {layer.type for layer in net.layer}
    text.write(net, folder / "ppn.prototxt")
    save_initial_weights(net, folder / "ppn.caffemodel")
    found = {
        e: train(e, folder, steps("ppn.prototxt", f"ppn_{e}", 2), "--weights=ppn.caffemodel")
        for e in ENGINES
    }
    assert list(found["netrun"]) == list(found["caffe"]) == [0, 1, 2]
    assert found["netrun"] == pytest.approx(found["caffe"], rel=1e-4)
    assert abs(found["caffe"][2] / found["caffe"][0] - 1) > 1e-2, "the steps do not show"


def test_same_loss_of_the_net_as_it_is(plain: Path) -> None:
    found = {
        e: train(e, plain, steps("train.prototxt", e, 0), "--weights=initial.caffemodel")
        for e in ENGINES
    }
    assert found["netrun"].keys() == {0}
    assert found["netrun"] == pytest.approx(found["caffe"], rel=1e-4)


@pytest.fixture(scope="module", params=["BINARYPROTO", "HDF5"])
def losses(plain: Path, request: pytest.FixtureRequest) -> dict[str, dict[int, float]]:
    """Both engines' losses over four iterations from the same weights, with a snapshot halfway.

    The snapshot lies at the end of the data, because a Caffe that resumes starts from the first
    image, wherever it was.
    """
    fields = {"snapshot": 2, "snapshot_format": request.param}
    return {
        e: train(
            e,
            plain,
            steps("smooth.prototxt", e + request.param, 4, **fields),
            "--weights=initial.caffemodel",
        )
        for e in ENGINES
    }


def test_engines_train_alike(losses: dict[str, dict[int, float]]) -> None:
    ours = losses["netrun"]
    reference = losses["caffe"]
    assert list(ours) == list(reference) == [0, 1, 2, 3, 4]
    assert ours == pytest.approx(reference, rel=1e-4)
    assert abs(reference[4] / reference[0] - 1) > 1e-2, "the steps do not show"


@pytest.mark.parametrize(("writer", "reader"), [("caffe", "netrun"), ("netrun", "caffe")])
def test_a_snapshot_resumes_in_the_other_engine(
    writer: str,
    reader: str,
    plain: Path,
    losses: dict[str, dict[int, float]],
    request: pytest.FixtureRequest,
) -> None:
    form = request.node.callspec.params["losses"]
    state = f"{writer}{form}_iter_2.solverstate" + (".h5" if form == "HDF5" else "")
    resumed = train(reader, plain, steps("smooth.prototxt", "resumed", 4), f"--snapshot={state}")
    assert resumed.keys() >= {3, 4}
    assert resumed == pytest.approx({i: losses[writer][i] for i in resumed}, rel=1e-4)


def test_ctrl_c_of_the_main_job_leaves_caffe_time_for_a_snapshot(
    folder: Path, tmp_path: Path
) -> None:
    options = environment(
        folder, RUNS=str(tmp_path), ITERS="500", BATCH="2", CAFFE_ROOT=os.environ["CAFFE_ROOT"]
    )
    command = [str(ROOT / "scripts/run.sh"), "fssd_tiny_shapes"]
    with subprocess.Popen(
        command,
        env=options,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        next(line for line in process.stdout if "Iteration 0, loss" in line)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal: everything in the foreground gets it
        said, _ = process.communicate(timeout=600)
    assert process.returncode == 130
    assert re.search(r"goes on from (\S+\.caffemodel)", said), said[-2000:]
    assert list(tmp_path.glob("*/snapshots/*.solverstate"))
