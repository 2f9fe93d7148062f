"""pycaffe's names for training in several processes, and its compiled module's names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.pycaffe import _caffe, mode
from netrun.pycaffe.net import mode_options
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import build, data, layer

# As python/train.py of Caffe goes about it.
TRAIN = """
import sys
from multiprocessing import Process
import caffe

def solve(proto, count, uid, rank):
    caffe.set_mode_cpu()
    caffe.set_solver_count(count)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)
    solver = caffe.SGDSolver(proto)
    # a process that starts from other weights takes rank 0's
    solver.net.params['ip'][0].data[...] += rank
    nccl = caffe.NCCL(solver, uid)
    nccl.bcast()
    solver.add_callback(nccl)
    if solver.param.layer_wise_reduce:
        solver.net.after_backward(nccl)
    solver.net.blobs['x'].data[...] = rank + 1
    solver.step(1)
    weight = solver.net.params['ip'][0].data[0, 0]
    sys.stdout.write('{} {}\\n'.format(rank, weight))
    sys.stdout.flush()

if __name__ == '__main__':
    assert caffe.has_nccl()
    uid = caffe.NCCL.new_uid()
    caffe.init_log()
    caffe.init_log(0, False)
    caffe.log('Using devices [0, 1]')
    processes = [Process(target=solve, args=(sys.argv[1], 2, uid, rank)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert not any(process.exitcode for process in processes)
"""
SOLVER = """net_param { force_backward: true
layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 1 bias_term: false
    weight_filler { type: "constant" value: 5 } } }
layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 1 } }
base_lr: 1 lr_policy: "fixed" max_iter: 1 snapshot_after_train: false solver_mode: CPU
store_blobs_in_old_format: true
"""


def test_a_script_trains_in_two_processes(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    command = [sys.executable, "-m", "netrun", "python", "train.py", "solver.prototxt"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    # The gradient is x: 1 in rank 0 and 2 in rank 1, 1.5 on average; 5 - 1.5
    assert sorted(done.stdout.splitlines()) == ["0 3.5", "1 3.5"]
    assert "] Using devices [0, 1]" in done.stderr


@pytest.fixture
def one_process() -> object:
    yield
    mode.set_solver_count(1)
    mode.set_solver_rank(0)


def test_new_solvers_and_nets_take_the_rank(one_process: object) -> None:
    assert (_caffe.solver_count(), _caffe.solver_rank()) == (1, 0)
    _caffe.set_solver_count(4)
    _caffe.set_solver_rank(3)
    assert (_caffe.solver_count(), _caffe.solver_rank()) == (4, 3)
    options = mode_options()
    assert (options.world, options.rank) == (4, 3)


def test_a_layers_parameters_are_a_blob_vec() -> None:
    fields = "inner_product_param { num_output: 2 }"
    net = build(data("x", 1, 3) + layer("InnerProduct", "x", "y", fields))
    assert type(net.params["y"]) is _caffe.BlobVec
    assert type(net.layer_dict["y"].blobs) is _caffe.BlobVec
    blobs = _caffe.BlobVec()
    blobs.add_blob(2, 3)
    assert np.array_equal(blobs[0].data, np.zeros((2, 3)))


def test_a_timer_counts_from_start_to_stop() -> None:
    timer = _caffe.Timer()
    assert timer.ms == 0
    timer.start()
    timer.stop()
    assert 0 <= timer.ms < 1000
    assert timer.us == pytest.approx(timer.ms * 1000)


@pytest.mark.parametrize(
    "name", ["before_forward", "after_forward", "before_backward", "after_backward"]
)
def test_no_function_is_called_between_layers(name: str) -> None:
    net = build(data("x", 1, 3))
    with pytest.raises(CaffeError, match=f"{name}: netrun calls no function between layers"):
        getattr(net, name)(lambda layer: layer)


def test_what_nccl_and_add_callback_refuse() -> None:
    solver = netrun.SGDSolver(text.parse(SOLVER, pb.SolverParameter))
    with pytest.raises(CaffeError, match="uid should be what"):
        _caffe.NCCL(solver, "?")
    with pytest.raises(CaffeError, match="two functions, or one"):
        solver.add_callback(lambda: None)
