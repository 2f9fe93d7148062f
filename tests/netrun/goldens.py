"""Replaying a golden case of a small net: the recorded inputs and parameters in, outputs and
gradients against the recorded ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.pycaffe.blob_arrays import Blob

Recorded = dict[str, dict[str, np.ndarray]]  # arrays by kind and name


def close(ours: np.ndarray, reference: np.ndarray, tolerance: float, what: str) -> None:
    """Assert equal shapes and a difference of at most tolerance times the reference's greatest
    value.
    """
    assert ours.shape == reference.shape, what
    scale = max(float(np.abs(reference).max(initial=0)), 1e-3)
    error = float(np.abs(ours - reference).max(initial=0)) / scale
    assert error <= tolerance, f"{what}: {error:.2e} of {scale:g}"


def replay(path: Path, tolerance: float = 1e-5) -> None:
    """Assert outputs, input and parameter gradients and changed parameters of the case at path."""
    replay_case(dict(np.load(path)), tolerance)


def replay_case(case: Mapping[str, Any], tolerance: float = 1e-5) -> None:
    """`replay` for a case at hand."""
    by_kind: Recorded = {}
    for key, value in case.items():
        kind, _, name = key.partition(":")
        by_kind.setdefault(kind, {})[name] = value
    net = netrun.Net(
        text.parse(str(case["prototxt"]), pb.NetParameter),
        netrun.TRAIN if case["phase"] == "TRAIN" else netrun.TEST,
    )
    for name, value in by_kind.get("in", {}).items():
        net.blobs[name].data[...] = value
    for name, value in by_kind.get("param", {}).items():
        _param(net, name).data[...] = value
    for _ in range(int(case.get("passes", 1))):
        net.forward()
    assert set(net.outputs) == set(by_kind["out"])
    for name, value in by_kind["out"].items():
        close(net.blobs[name].data, value, tolerance, f"output {name}")
    for name, value in by_kind.get("param_after", {}).items():
        close(_param(net, name).data, value, tolerance, f"parameter {name} afterwards")
    if {"indiff", "paramdiff"} & set(by_kind):
        _replay_gradients(net, by_kind, tolerance)


def _replay_gradients(net: netrun.Net, by_kind: Recorded, tolerance: float) -> None:
    """Assert the gradients of inputs and parameters."""
    net.backward(**by_kind.get("topdiff", {}))
    for name, value in by_kind.get("indiff", {}).items():
        close(net.blobs[name].diff, value, tolerance, f"gradient of {name}")
    for name, value in by_kind.get("paramdiff", {}).items():
        close(_param(net, name).diff, value, tolerance, f"gradient of parameter {name}")


def _param(net: netrun.Net, name: str) -> Blob:
    """The parameter blob that a case names `layer:index`."""
    layer, _, index = name.rpartition(":")
    return net.params[layer][int(index)]
