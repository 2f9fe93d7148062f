"""--precision: bf16 rounds what is multiplied and nothing else; fp32 is the default and exact."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun import Net, Solver
from netrun.cli import main
from netrun.engine.engine import Engine
from ssd_common.errors import CaffeError

NET = """
layer { name: "in" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } shape { dim: 2 } } }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" }
    bias_filler { type: "uniform" } }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def net(precision: str, phase: int = pb.TRAIN) -> Net:
    made = Net(text.parse(NET, pb.NetParameter), phase, precision=precision, seed=3)
    made.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 9, 9))
    made.blobs["label"].data[...] = [1, 4]
    return made


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.bfloat16().float()


def test_products_are_rounded_and_losses_are_not():
    made = net("bf16")
    made.run()
    kinds = {name: made.blobs[name].tensor.dtype for name in ("conv", "pool", "ip", "loss")}
    assert kinds == {
        "conv": torch.bfloat16,
        "pool": torch.bfloat16,
        "ip": torch.bfloat16,
        "loss": torch.float32,
    }
    weight, bias = (rounded(blob.detach()) for blob in made.layer_list[1].blobs)
    conv = torch.relu(F.conv2d(rounded(made.blobs["data"].tensor), weight, bias))
    logits = made.blobs["ip"].tensor.float()
    torch.testing.assert_close(made.loss, F.cross_entropy(logits, torch.tensor([1, 4])))
    shown = made.blobs["conv"].data
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown, conv, rtol=2**-7, atol=1e-6)


def test_parameters_and_gradients_stay_float32():
    gradients = {}
    for precision in ("fp32", "bf16"):
        made = net(precision)
        made.run()
        made.loss.backward()
        gradients[precision] = torch.cat([p.tensor.grad.flatten() for p in made.learnable])
        assert (
            {p.tensor.dtype for p in made.learnable}
            == {gradients[precision].dtype}
            == {torch.float32}
        )
    exact, near = gradients.values()
    assert 0 < (near - exact).norm() / exact.norm() < 0.03


def test_pycaffes_forward_and_backward_show_float32():
    made = net("bf16")
    loss = made.forward()["loss"]
    made.backward()
    exact = net("fp32")
    assert 0 < abs(float(loss) - float(exact.forward()["loss"])) < 0.02
    exact.backward()
    for name in ("conv", "pool", "ip"):
        mine, theirs = made.blobs[name].diff, exact.blobs[name].diff
        assert mine.dtype == np.float32
        assert np.linalg.norm(mine - theirs) < 0.05 * np.linalg.norm(theirs)


def test_solver_trains_in_it(tmp_path):
    losses = {}
    for precision in ("fp32", "bf16"):
        param = text.parse(
            (
                f'base_lr: 0.1 lr_policy: "fixed" max_iter: 3 momentum: 0.9 '
                f'snapshot_after_train: false snapshot_prefix: "{tmp_path}/s"'
            ),
            pb.SolverParameter,
        )
        param.train_net_param.CopyFrom(text.parse(NET, pb.NetParameter))
        solver = Solver(param, precision=precision)
        solver.net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 9, 9))
        solver.net.blobs["label"].data[...] = [1, 4]
        solver.step(3)
        losses[precision] = float(solver.net.loss.detach())
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)
    assert losses["bf16"] != losses["fp32"]


@pytest.mark.parametrize(
    ("precision", "says"), [("tf32", "for NVIDIA GPUs"), ("bf61", "did you mean 'bf16'")]
)
def test_refuses(precision, says):
    with pytest.raises(CaffeError, match=says):
        net(precision)


def test_commands_take_it(tmp_path, monkeypatch):
    (tmp_path / "net.prototxt").write_text(NET)
    made = []
    monkeypatch.setattr(
        "netrun.evaluation.timing.Engine",
        lambda *args, **options: made.append(Engine(*args, **options)) or made[-1],
    )
    command = ["time", "--model", str(tmp_path / "net.prototxt"), "--iterations", "1"]
    for options in ([], ["--precision", "bf16"]):
        assert main([*command, *options]) == 0
    assert [net.options.precision for net in made] == ["fp32", "bf16"]
    with pytest.raises(CaffeError, match="precision tf32 is for NVIDIA GPUs"):
        main([*command, "--precision=tf32"])


DENORMAL = """
import numpy as np, netrun
from netrun import TEST, Net
from caffe_ir import text, caffe_ir_pb2 as pb
net = Net(text.parse('''
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 8 dim: 512 dim: 512 } }
}
layer { name: "scale" type: "Scale" bottom: "x" top: "y" }''', pb.NetParameter), TEST)
net.blobs["x"].data[...] = 1
net.params["scale"][0].data[...] = [1e-39, 1, 1e-39, 1, 1e-39, 1, 1e-39, 2e-38]
made = net.forward()["y"]
print([sorted(set(made[0, i].ravel().tolist())) for i in range(8)])
"""


def test_denormal_weights_count_as_zero_in_every_thread():
    """1e-39 is below the smallest normal float32, 1.18e-38; 2e-38 is above it."""
    done = subprocess.run(
        [sys.executable, "-c", DENORMAL],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    smallest = float(np.float32(2e-38))
    assert done.stdout == f"{[[0.0], [1.0]] * 3 + [[0.0], [smallest]]}\n"
