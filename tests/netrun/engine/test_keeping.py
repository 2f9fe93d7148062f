"""keep_blobs: a run may let go of blobs that nobody reads any more, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun import Net
from netrun.training.losses import first_non_finite

NET = """
force_backward: true
layer { name: "in" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "one" type: "InnerProduct" bottom: "data" top: "one"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "one" top: "one" }
layer { name: "two" type: "InnerProduct" bottom: "one" top: "two"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "one" bottom: "two" top: "sum" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss" }
layer { name: "double" type: "Power" bottom: "loss" top: "double" power_param { scale: 2 } }
"""


def net(phase: int, keep: bool) -> Net:
    made = Net(text.parse(NET, pb.NetParameter), phase, seed=1, keep_blobs=keep)
    made.blobs["data"].data[...] = [[1, -2, 3], [0.5, 1, -1]]
    made.blobs["label"].data[...] = [1, 3]
    made.run()
    return made


@pytest.mark.parametrize("phase", [pb.TRAIN, pb.TEST])
def test_a_run_keeps_data_losses_and_outputs(phase):
    all_kept, lean = net(phase, True), net(phase, False)
    held = {name for name, blob in lean.blobs.items() if blob._tensor is not None}
    assert held == {"data", "label", "loss", "double"}
    assert lean.loss.item() == all_kept.loss.item() > 0
    for made in (all_kept, lean):
        made.loss.backward()
    for mine, theirs in zip(lean.learnable, all_kept.learnable, strict=True):
        torch.testing.assert_close(mine.tensor.grad, theirs.tensor.grad, rtol=0, atol=0)
    lean.recompute()
    for name, blob in all_kept.blobs.items():
        np.testing.assert_array_equal(lean.blobs[name].data, blob.data)


def test_pycaffes_forward_keeps_everything():
    lean = net(pb.TEST, False)
    lean.forward()
    np.testing.assert_array_equal(lean.blobs["sum"].data, net(pb.TEST, True).blobs["sum"].data)


def test_the_first_non_finite_blob_is_found_again():
    lean = net(pb.TRAIN, False)
    lean.blobs["data"].data[0, 0] = np.nan
    lean.run()
    assert first_non_finite(lean) == "'data' (top of layer 'in')"
    lean.blobs["data"].data[0, 0] = 3e38
    lean.layer_list[1].blobs[0].data.fill_(1e9)
    lean.run()
    assert first_non_finite(lean) == "'one' (top of layer 'one')"
