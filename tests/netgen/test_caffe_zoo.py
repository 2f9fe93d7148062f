"""A real Caffe, the SSD fork, sets up every net of the zoo in each phase, and computes nothing.

Data layers become inputs and files are not named, so that no data set is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from data_prep.cli import main as data_prep
from netgen.writer import write
from netgen.zoo.registry import entries
from tests.support import CAFFE, ROOT, caffe_environment, needs_caffe

pytestmark = [pytest.mark.caffe, needs_caffe]


def without_files(net: pb.NetParameter) -> pb.NetParameter:
    for layer in net.layer:
        if layer.type == "AnnotatedData":
            resize = layer.transform_param.resize_param
            shapes = [(1, 3, resize.height, resize.width), (1, 1, 1, 8)]
            layer.CopyFrom(pb.LayerParameter(name=layer.name, type="Input", top=layer.top))
            for shape in shapes:
                layer.input_param.shape.add(dim=shape)
        layer.detection_output_param.ClearField("save_output_param")
        layer.detection_evaluate_param.ClearField("name_size_file")
        for name in ("detection_output_param", "detection_evaluate_param"):
            if not getattr(layer, name).ListFields():
                layer.ClearField(name)
    return net


@pytest.mark.parametrize("phase", ["train", "test", "deploy"])
@pytest.mark.parametrize("zoo_id", list(entries()))
def test_caffe_sets_it_up(tmp_path: Path, zoo_id: str, phase: str) -> None:
    # A file, because Caffe upgrades `input` in files only.
    text.write(without_files(netgen.build(zoo_id, phase)), tmp_path / "net.prototxt")
    solver = pb.SolverParameter(
        train_net=str(tmp_path / "net.prototxt"),
        solver_mode=pb.SolverParameter.CPU,
        base_lr=1e-3,
        lr_policy="fixed",
        max_iter=0,
        snapshot_prefix=str(tmp_path / "none"),
        snapshot_after_train=False,
    )
    solver.train_state.phase = pb.TEST
    if phase == "train":
        solver.train_state.phase = pb.TRAIN
    text.write(solver, tmp_path / "solver.prototxt")
    command = [str(CAFFE), "train", f"--solver={tmp_path / 'solver.prototxt'}"]
    python_layers = [
        str(ROOT / "netgen/python_layers"),
        str(CAFFE.parents[2] / "python"),
        os.environ.get("PYTHONPATH", ""),
    ]
    environment = caffe_environment(
        PYTHONPATH=os.pathsep.join(python_layers),
        GLOG_logtostderr="1",
    )
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_train_sh_runs_a_python_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caffe trains PPN, whose loss is a Python layer, from a shell that has .venv activated."""
    monkeypatch.chdir(tmp_path)
    data_prep(["shapes", "--out", "data", "--train", "4", "--test", "2"])
    run = netgen.configure(
        "ppn300_coco",
        dataset="data/dataset.json",
        iterations=13,
        batch=1,
        gpus=[],
        out="runs/ppn",
    )
    write(run)
    activated = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["runs/ppn/train.sh"],
        env=os.environ | {"PATH": activated, "GLOG_logtostderr": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(tmp_path.glob("runs/ppn/snapshots/*_iter_13.caffemodel"))
