"""Detection layers run by themselves: on a golden case, or on tensors and a prototxt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.rules.registry import Facts
from netrun.layers import Context, Layer, create
from netrun.runtime.options import RunOptions


def make_layer(prototxt: str, phase: int = pb.TEST, **options: bool) -> Layer:
    """The engine's layer for the last layer of a prototxt. options: fields of RunOptions."""
    param = text.parse(prototxt, pb.NetParameter).layer[-1]
    return create(param, Facts([]), Context(phase, torch.device("cpu"), RunOptions(**options)))


Replayed = tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]


def run_golden(path: Path) -> Replayed:
    """`run_case` for the case in a file."""
    with np.load(path) as file:
        return run_case(dict(file))


def run_case(case: Mapping[str, Any]) -> Replayed:
    """Top got and wanted, and the pairs of bottom gradients got and wanted, of a golden case with
    one layer under test.
    """
    layer = make_layer(
        str(case["prototxt"]), pb.TRAIN if str(case["phase"]) == "TRAIN" else pb.TEST
    )
    names = list(layer.param.bottom)
    bottoms = [
        torch.from_numpy(case[f"in:{name}"]).requires_grad_(f"indiff:{name}" in case)
        for name in names
    ]
    [top] = layer.forward(bottoms)
    pairs = []
    if top.requires_grad:
        (top * (layer.param.loss_weight[0] if layer.param.loss_weight else 1)).backward()
        pairs = [
            (b.grad.numpy(), case[f"indiff:{n}"])
            for b, n in zip(bottoms, names, strict=True)
            if b.grad is not None
        ]
        assert len(pairs) == sum(key.startswith("indiff:") for key in case)
    return top.detach().numpy(), case[f"out:{layer.param.top[0]}"], pairs


def close(got: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-5) -> bool:
    """Whether shapes agree, and values to `tolerance` of the greatest wanted."""
    return got.shape == wanted.shape and float(
        np.abs(got - wanted).max(initial=0)
    ) <= tolerance * float(np.abs(wanted).max(initial=1e-30))
