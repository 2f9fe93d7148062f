"""Engine: a net of plain blobs, whose options are given when it is built; pycaffe's Net computes
the same.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun import Net
from netrun.engine import blob
from netrun.engine.engine import Engine
from netrun.layers import Layer
from netrun.pycaffe import blob_arrays
from netrun.runtime.options import RunOptions
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import data, layer
from tests.support import ROOT

DENSE = 'inner_product_param { num_output: 2 weight_filler { type: "gaussian" } }'
WORDS = (
    data("x", 3, 4)
    + layer("InnerProduct", "x", "f", DENSE)
    + layer("ReLU", "f", "r")
    + layer("InnerProduct", "r", "y", DENSE)
)
X = torch.arange(12.0).reshape(3, 4)


def message(words: str = WORDS) -> pb.NetParameter:
    return text.parse('name: "n"\n' + words, pb.NetParameter)


def engine(phase: int = pb.TEST, **options: object) -> Engine:
    made = Engine(message(), phase, options=RunOptions(**options))
    made.blobs["x"].tensor.copy_(X)
    return made


def test_blobs_are_plain() -> None:
    """pycaffe's arrays belong to Net alone."""
    plain, arrays = engine(), Net(message(), pb.TEST)
    assert {type(b) for b in plain.blobs.values()} == {blob.Blob}
    assert {type(b) for bs in plain.params.values() for b in bs} == {blob.ParamBlob}
    assert {type(b) for b in arrays.blobs.values()} == {blob_arrays.Blob}
    assert {type(b) for bs in arrays.params.values() for b in bs} == {blob_arrays.ParamBlob}


def test_it_computes_what_net_does() -> None:
    plain, arrays = engine(seed=5), Net(message(), pb.TEST, seed=5)
    wanted = arrays.forward(x=X.numpy())["y"]
    np.testing.assert_array_equal(plain.run()["y"].numpy(), wanted)


def test_weights_come_and_go(tmp_path) -> None:
    first, other, third = (engine(seed=seed) for seed in (1, 2, 3))
    first.save(tmp_path / "w.caffemodel")
    assert other.copy_from(tmp_path / "w.caffemodel") == []
    third.share_from(first)
    made = [net.run()["y"] for net in (first, other, third)]
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


def test_options_are_those_it_was_built_with() -> None:
    """Nobody changes one afterwards."""
    made = engine(keep_blobs=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.options.keep_blobs = True  # type: ignore[misc]
    made.run()
    assert made.blobs["f"]._tensor is None
    made.recompute()
    assert made.blobs["f"].tensor.any()


def test_net_takes_options_by_name_and_as_one() -> None:
    named = Net(message(), pb.TEST, seed=7, keep_blobs=False)
    as_one = Net(message(), pb.TEST, options=RunOptions(seed=7, keep_blobs=False))
    assert named.options == as_one.options == RunOptions(seed=7, keep_blobs=False)
    both = Net(message(), pb.TEST, options=RunOptions(seed=7), strict=True)
    assert both.options == RunOptions(seed=7, strict=True)


def test_a_blob_is_given_a_shape() -> None:
    made = blob.Blob((2, 3), torch.device("cpu"))
    made.tensor.copy_(torch.arange(6.0).reshape(2, 3))
    made.reshape(3, 2)
    assert made.tensor.tolist() == [[0, 1], [2, 3], [4, 5]]
    made.reshape((4,))
    assert made.tensor.tolist() == [0] * 4
    with pytest.raises(CaffeError, match="a blob cannot have shape"):
        made.reshape(-1)


def test_what_passes_save_is_planned() -> None:
    """ReLU in place overwrites a bottom that it alone reads; a Scale is BatchNorm's where nobody
    sees between them.
    """
    words = (
        data("x", 2, 3, 4, 4) + layer("Power", "x", "p") + layer("BatchNorm", "p", "p", name="bn")
    )
    words += layer("Scale", "p", "p", name="scale") + layer("ReLU", "p", "p", name="relu")
    plan = Engine(message(words), pb.TEST).runner.plan
    assert plan.scales == {2: 3}
    assert plan.overwrite[4]
    assert plan.released == {
        1: []
    }  # what is read behind its maker is the last version of `p`, an output


def test_one_process_has_no_others_to_share_statistics_with() -> None:
    """`netrun train --sync-bn` of a run of one is a plain run."""
    words = data("x", 4, 3) + layer("BatchNorm", "x", "y")
    tops = []
    for shared in (False, True):
        net = Engine(message(words), pb.TRAIN, options=RunOptions(sync_batch_norm=shared))
        net.blobs["x"].tensor.copy_(torch.arange(12.0).reshape(4, 3))
        tops.append(net.run()["y"].detach())
    assert torch.equal(*tops)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_watched_pass_computes_the_same(precision: str) -> None:
    net = engine(seed=5, precision=precision)
    wanted = net.run()["y"].clone()
    seen = []

    def forward(layer: Layer, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        seen.append(layer.name)
        return layer.forward(bottoms)

    net.watch(forward)
    assert torch.equal(net.run()["y"], wanted)
    assert seen == ["f", "r", "y"]
    net.watch(None)
    net.run()
    assert seen == ["f", "r", "y"]


def test_pycaffe_stays_out_of_runs_that_do_not_ask_for_it() -> None:
    code = (
        "import sys, netrun.training.distributed, netrun.evaluation.coco; print([m for m "
        "in sys.modules if 'pycaffe' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"
