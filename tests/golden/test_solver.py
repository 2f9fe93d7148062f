"""Twenty iterations as the SSD fork went, with or without ../shared.

Under every update rule and every policy of the learning rate.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.training.solver import Solver
from tests.golden.packed import Case, read

CASES = read("solver.npz")
START = CASES.pop("start")
BATCHES, IMAGES, SIDE = 4, 4, 64


@functools.cache
def batches() -> tuple[np.ndarray, list[np.ndarray]]:
    """The recorded run's images (4, 4, 3, 64, 64) and labels (rows of 8).

    The images are noise, lighter in one colour where an object is. NumPy keeps RandomState's
    numbers the same for ever, so these need not be stored.
    """
    random = np.random.RandomState(5)
    images = random.randn(BATCHES, IMAGES, 3, SIDE, SIDE).astype(np.float32)
    labels = [np.array(objects(random, images[k], k), np.float32) for k in range(BATCHES)]
    return images, labels


Rows = list[list[float]]


def objects(random: np.random.RandomState, images: np.ndarray, batch: int) -> Rows:
    """Rows [image, label, instance, corners, difficult] of a batch; its images get the squares."""
    rows = []
    for image in range(IMAGES):
        for instance in range(1 + (batch + image) % 2):
            x, y = random.uniform(0, 0.5, 2)
            w, h = random.uniform(0.2, 0.45, 2)
            label = random.randint(1, 4)
            corners = [x, y, x + w, y + h]
            x0, y0, x1, y1 = (int(corner * SIDE) for corner in corners)
            images[image, label - 1, y0:y1, x0:x1] += 3
            rows.append([image, label, instance, *corners, 0])
    return rows


def of_kind(case: Case, kind: str) -> dict[str, np.ndarray]:
    """The arrays of a case whose key begins with `kind:`, by the rest of the key."""
    return {
        key.split(":", 1)[1]: value for key, value in case.items() if key.startswith(f"{kind}:")
    }


def blob(solver: Solver, name: str) -> Any:
    """The parameter blob LAYER:I."""
    layer, _, index = name.rpartition(":")
    return solver.net.params[layer][int(index)]


def started(case: Case) -> Solver:
    """A solver of the case's options, with the weights that the recorded run began from."""
    param = text.parse(case["solver"], pb.SolverParameter)
    param.net_param.CopyFrom(text.parse(START["prototxt"], pb.NetParameter))
    solver = netrun.Solver(param)
    for name, value in of_kind(START, "init").items():
        blob(solver, name).data[...] = value
    return solver


def losses(solver: Solver) -> list[float]:
    """The loss of each of 20 iterations over the batches in turn."""
    images, labels = batches()
    blobs: Any = solver.net.blobs
    found = []
    for i in range(20):
        rows = labels[i % BATCHES]
        blobs["data"].data[...] = images[i % BATCHES]
        blobs["label"].reshape(1, 1, len(rows), 8)
        blobs["label"].data[...] = rows
        solver.step(1)
        found.append(float(blobs["mbox_loss"].data))
    return found


def close(ours: np.ndarray, theirs: np.ndarray, what: str) -> None:
    error = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12)
    assert error < 1e-4, f"{what}: relative error {error:.1e}"


@pytest.mark.parametrize("name", CASES)
def test_trajectory(name: str) -> None:
    case = CASES[name]
    solver = started(case)
    np.testing.assert_allclose(losses(solver), case["loss"], rtol=1e-4)
    for key, value in of_kind(case, "final").items():
        close(blob(solver, key).data, value, f"weights {key}")
    history = of_kind(case, "history")
    assert not history or len(history) == len(solver.updater.history)
    for key, value in history.items():
        close(solver.updater.history[int(key)].numpy(), value, f"history {key}")


def test_every_update_rule_has_its_trajectory() -> None:
    recorded = {
        text.parse(case["solver"], pb.SolverParameter).type
        for case in CASES.values()
        if of_kind(case, "history")
    }
    assert recorded == {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}
