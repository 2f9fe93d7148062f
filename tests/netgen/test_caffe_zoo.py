"""A real Caffe, the SSD fork, sets up every net of the zoo in each phase, and computes nothing.

Data layers become inputs and files are not named, so that no data set is needed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netgen.zoo.registry import entries
from tests.support import CAFFE, ROOT, needs_caffe

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
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(python_layers),
        "GLOG_logtostderr": "1",
    }
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if "pycaffe cannot be imported" in done.stderr or "initialization of _caffe" in done.stderr:
        pytest.skip("the focal loss is a Python layer, and this Caffe's pycaffe cannot be imported")
    assert done.returncode == 0, done.stderr[-2000:]
