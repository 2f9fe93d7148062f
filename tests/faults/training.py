"""Scenarios of netrun: snapshots in both forms, and the files of a test."""

from __future__ import annotations

from tests.faults.disk import Tree
from tests.faults.runs import Runner
from tests.faults.scenario import Scenario

_NET = b"""name: "small"
layer { name: "d" type: "DummyData" top: "x" top: "y"
  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "gaussian" std: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }
"""
_SOLVER = b"""net: "net.prototxt" lr_policy: "fixed" base_lr: 0.01 momentum: 0.9 max_iter: 2
snapshot: 1 snapshot_prefix: "snap/n" random_seed: 3 solver_mode: CPU
"""
_ONE = _SOLVER.replace(b"max_iter: 2", b"max_iter: 1")
_TRAIN = ("netrun", "train", "--solver", "solver.prototxt", "--threads", "1")
_HDF5 = b"snapshot_format: HDF5\n"

# One image, on which a detection of class 1 is found.
_DETECTOR = b"""name: "net"
layer { name: "boxes" type: "DummyData" top: "loc" top: "conf" top: "priors"
  dummy_data_param { shape { dim: 1 dim: 4 } shape { dim: 1 dim: 2 }
    shape { dim: 1 dim: 2 dim: 4 } data_filler { value: 0.5 } } }
layer { name: "out" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "priors"
  top: "found" detection_output_param { num_classes: 2
    nms_param { nms_threshold: 0.5 } save_output_param { output_directory: "results"
      output_format: "VOC" label_map_file: "map.prototxt" name_size_file: "sizes.txt" } } }
layer { name: "sum" type: "Reduction" bottom: "loc" top: "sum" }
"""
_ROWS = b"""name: "rows"
layer { name: "d" type: "DummyData" top: "x" top: "y"
  dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } data_filler { value: 1 } } }
layer { name: "out" type: "HDF5Output" bottom: "x" bottom: "y"
  hdf5_output_param { file_name: "rows.h5" } }
layer { name: "sum" type: "Reduction" bottom: "x" top: "sum" }
"""
_TEST = ("netrun", "test", "--model", "net.prototxt", "--weights", "weights.caffemodel")
_ONCE = ("--iterations", "1", "--threads", "1")


def binary_snapshots(_: Runner) -> Scenario:
    """Two snapshots, each of weights and state."""
    return _snapshots(_SOLVER)


def hdf5_snapshots(_: Runner) -> Scenario:
    """One snapshot as HDF5."""
    return _snapshots(_ONE + _HDF5)


def other_snapshots(runner: Runner) -> Scenario:
    """A snapshot over another run's: no state is ever beside the other run's weights."""
    net: Tree = {"net.prototxt": _NET}
    other = _ONE.replace(b"random_seed: 3", b"random_seed: 4")
    before = runner.after(_TRAIN, net | {"solver.prototxt": other})
    before["solver.prototxt"] = _ONE

    state = "snap/n_iter_1.solverstate"

    def faults(tree: Tree) -> list[str]:
        weights = "snap/n_iter_1.caffemodel"
        old = tree[weights] == before[weights]
        if state in tree and old != (tree[state] == before[state]):
            return [f"{state} is beside other weights"]
        return []

    return Scenario(_TRAIN, before, removes=r"\.solverstate$", faults=faults, since=state)


def _snapshots(solver: bytes) -> Scenario:
    before = {"net.prototxt": _NET, "solver.prototxt": solver}
    return Scenario(_TRAIN, before, again=(*_TRAIN, "--snapshot", "latest"))


def _tested(net: bytes, runner: Runner, **more: bytes | None) -> Tree:
    """Return the files of a test of a net: weights, the net, and more."""
    solver = _SOLVER.replace(b"max_iter: 2", b"max_iter: 0")
    trained = runner.after(_TRAIN, {"net.prototxt": _NET, "solver.prototxt": solver})
    weights = trained["snap/n_iter_0.caffemodel"]
    return {"net.prototxt": net, "weights.caffemodel": weights, **more}


def result_file(runner: Runner) -> Scenario:
    """A class's detections, in place of older ones."""
    files = {"map.prototxt": b'item { name: "cat" label: 1 }', "sizes.txt": b"a 10 10\n"}
    old: Tree = {"results": None, "results/cat.txt": b"old\n"}
    return Scenario((*_TEST, *_ONCE), _tested(_DETECTOR, runner, **files, **old))


def hdf5_output(runner: Runner) -> Scenario:
    """The file of an HDF5Output layer, in place of an older one."""
    before = _tested(_ROWS, runner) | {"rows.h5": b"old"}
    return Scenario((*_TEST, *_ONCE), before, extra=r"^rows\.h5\.part$")
