"""The focal loss: the NumPy layer that Caffe runs, netrun's own, and the formulas, against each
other.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.text import parse
from netgen.backbones.mobilenet_v1 import Style, activation
from netgen.graph import Net
from netgen.heads.losses import focal_loss
from netgen.heads.predictions import Predictions
from ssd_common.errors import LayerError
from tests.support import ROOT

CLASSES = 5


def numpy_layer() -> ModuleType:
    """The file that netgen ships, imported as pycaffe would, alone."""
    spec = importlib.util.spec_from_file_location(
        "ssd_focal_loss", ROOT / "netgen/python_layers/ssd_focal_loss.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LAYER = numpy_layer()


def scene(seed: int, images: int = 3, boxes: int = 60, objects: int = 5) -> dict[str, np.ndarray]:
    """Predictions, prior boxes and objects, drawn.

    The last image has none, and some objects are copies of prior boxes or of each other.
    """
    rng = np.random.default_rng(seed)

    def draw(count: int) -> np.ndarray:
        centre, size = rng.uniform(0.1, 0.9, (count, 2)), rng.uniform(0.05, 0.5, (count, 2))
        return np.concatenate([centre - size / 2, centre + size / 2], 1)

    priors = draw(boxes)
    rows = []
    for image in range(images - 1):
        truth = draw(objects)
        truth[0], truth[2] = priors[rng.integers(boxes)], truth[1]
        for number, box in enumerate(truth):
            rows.append([image, rng.integers(1, CLASSES), number, *box, rng.random() < 0.3])
    blobs = {
        "loc": rng.normal(0, 1, (images, 4 * boxes)),
        "conf": rng.normal(0, 3, (images, CLASSES * boxes)),
        "priors": np.stack([priors.ravel(), np.tile([0.1, 0.1, 0.2, 0.2], boxes)])[None],
        "label": np.array(rows).reshape(1, 1, -1, 8),
    }
    return {name: values.astype(np.float32) for name, values in blobs.items()}


def net(blobs: dict[str, np.ndarray], **options: float | bool) -> pb.NetParameter:
    found = Net("n", "train")
    loc, conf, priors, label = (found.input(name, values.shape) for name, values in blobs.items())
    predictions = Predictions(loc, conf, priors)
    focal_loss(found, predictions, label, CLASSES, **options)  # type: ignore[arg-type]
    found.proto.force_backward = True
    return found.proto


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "options",
    [{}, {"alpha": 0.75, "loc_weight": 0.375, "train_on_difficult": False}, {"gamma": 0.5}],
)
def test_both_layers_agree(seed: int, options: dict) -> None:
    blobs = scene(seed)
    proto = net(blobs, **options)
    loss, gradients = LAYER.focal_loss(
        *blobs.values(), **LAYER.read_options(proto.layer[-1].python_param.param_str)
    )
    engine = netrun.Net(proto, netrun.TRAIN)
    for name, values in blobs.items():
        engine.blobs[name].data[...] = values
    engine.forward()
    engine.backward()
    assert engine.blobs["mbox_loss"].data.item() == pytest.approx(loss, rel=1e-5)
    for name, gradient in zip(("loc", "conf"), gradients, strict=True):
        np.testing.assert_allclose(
            gradient, engine.blobs[name].diff, rtol=1e-5, atol=1e-5 * np.abs(gradient).max()
        )
        assert np.abs(gradient).max() > 0


def test_the_file_under_another_name_runs_as_a_layer_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """netrun then does not know it, and calls its NumPy code as pycaffe would."""
    shutil.copy(ROOT / "netgen/python_layers/ssd_focal_loss.py", tmp_path / "focal_of_mine.py")
    monkeypatch.syspath_prepend(tmp_path)
    blobs = scene(6)
    proto = net(blobs, gamma=1.5)
    native = netrun.Net(proto, netrun.TRAIN)
    proto.layer[-1].python_param.module = "focal_of_mine"
    users = netrun.Net(proto, netrun.TRAIN)
    for engine in (native, users):
        for name, values in blobs.items():
            engine.blobs[name].data[...] = values
        engine.forward()
        engine.backward()
    assert type(users.layers[-1]).__module__ == "focal_of_mine"
    assert users.blobs["mbox_loss"].data.item() == pytest.approx(
        native.blobs["mbox_loss"].data.item(), rel=1e-5
    )
    for name in ("loc", "conf"):
        wanted = native.blobs[name].diff
        np.testing.assert_allclose(
            users.blobs[name].diff, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max()
        )
    sys.modules.pop("focal_of_mine")


def test_gradients_are_the_loss_s() -> None:
    """Central differences, at float32's precision."""
    blobs = scene(7, boxes=12)
    _, gradients = LAYER.focal_loss(*blobs.values(), num_classes=CLASSES)
    rng = np.random.default_rng(1)
    for name, gradient in zip(("loc", "conf"), gradients, strict=True):
        for _ in range(20):
            place, step = tuple(rng.integers(n) for n in gradient.shape), 1e-2
            losses = []
            for sign in (1, -1):
                moved = {**blobs, name: blobs[name].copy()}
                moved[name][place] += sign * step
                losses.append(LAYER.focal_loss(*moved.values(), num_classes=CLASSES)[0])
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(
                gradient[place], abs=2e-3 * float(np.abs(gradient).max())
            )


def test_by_hand() -> None:
    """One box that is the object, of two classes: its own at σ(0) = 1/2, the background's at σ(ln
    3) = 3/4; an offset 2 too far.

    0.25·(1/2)²·ln 2 + 0.75·(3/4)²·ln 4 + (2 − 1/2), over one match; slopes by (1 − p)ᵞ(γ p ln p −
    (1 − p)).
    """
    box = np.array([0.1, 0.1, 0.5, 0.5])
    priors = np.stack([box, [0.1, 0.1, 0.2, 0.2]])[None]
    label = np.array([0, 1, 0, *box, 0]).reshape(1, 1, 1, 8)
    logits = np.array([[math.log(3), 0]])
    loss, (by_loc, by_logits) = LAYER.focal_loss(
        np.array([[2, 0, 0, 0]]), logits, priors.reshape(1, 2, 4), label, num_classes=2
    )
    assert loss == pytest.approx(0.25 / 4 * math.log(2) + 0.75 * 9 / 16 * math.log(4) + 1.5)
    assert by_loc == pytest.approx(np.array([[1, 0, 0, 0]]))
    own = 0.25 / 4 * (2 / 2 * math.log(1 / 2) - 1 / 2)
    background = -0.75 * 9 / 16 * (2 / 4 * math.log(1 / 4) - 3 / 4)
    assert by_logits == pytest.approx(np.array([[background, own]]), rel=1e-5)


def test_extreme_logits_stay_finite() -> None:
    blobs = scene(3)
    blobs["conf"] *= 1e4
    loss, gradients = LAYER.focal_loss(*blobs.values(), num_classes=CLASSES)
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in gradients)


class Blobs:
    """pycaffe's list of blobs, over which Boost cannot iterate."""

    def __init__(self, *blobs: SimpleNamespace) -> None:
        self.blobs = blobs

    def __len__(self) -> int:
        return len(self.blobs)

    def __getitem__(self, index: int) -> SimpleNamespace:
        return self.blobs[index]

    __iter__ = None


def test_pycaffe_s_calls() -> None:
    """setup, reshape, forward and backward as Caffe makes them, on blobs with data and diff.

    The weight of the loss counts.
    """
    blobs = scene(5)
    bottom = Blobs(
        *(SimpleNamespace(data=values, diff=np.full_like(values, 9)) for values in blobs.values())
    )
    shapes = []
    top = Blobs(
        SimpleNamespace(
            data=np.zeros(()), diff=np.full((), 2.0), reshape=lambda *shape: shapes.append(shape)
        )
    )
    layer = LAYER.SSDFocalLoss()
    layer.param_str = json.dumps({"num_classes": CLASSES, "alpha": 0.5})
    layer.setup(bottom, top)
    layer.reshape(bottom, top)
    layer.forward(bottom, top)
    layer.backward(top, [True, False, False, False], bottom)
    loss, gradients = LAYER.focal_loss(*blobs.values(), num_classes=CLASSES, alpha=0.5)
    assert shapes == [()]
    assert top[0].data == pytest.approx(loss)
    np.testing.assert_allclose(bottom[0].diff, 2 * gradients[0])
    assert all((blob.diff == 9).all() for blob in bottom.blobs[1:])


@pytest.mark.parametrize("text", ["{}", '{"num_classes": 5, "aplha": 1}'])
def test_options_are_checked(text: str) -> None:
    proto = net(scene(0))
    proto.layer[-1].python_param.param_str = text
    with pytest.raises(LayerError, match=r"num_classes|aplha.*alpha"):
        netrun.Net(proto, netrun.TRAIN)
    with pytest.raises(ValueError, match=r"num_classes|aplha"):
        LAYER.read_options(text)


@pytest.mark.parametrize("label", [0, CLASSES, -1])
def test_labels_are_checked(label: int) -> None:
    blobs = scene(0)
    blobs["label"][0, 0, 0, 1] = label
    with pytest.raises(ValueError, match="label"):
        LAYER.focal_loss(*blobs.values(), num_classes=CLASSES)
    engine = netrun.Net(net(blobs), netrun.TRAIN)
    for name, values in blobs.items():
        engine.blobs[name].data[...] = values
    with pytest.raises(LayerError, match="label"):
        engine.forward()


def test_a_python_layer_without_its_code_is_refused_by_name() -> None:
    text = """
    input: "x" input_shape { dim: 1 }
    layer { name: "p" type: "Python" bottom: "x" top: "y"
      python_param { module: "no_such_file" layer: "Thing" } }
    """
    with pytest.raises(
        LayerError,
        match=r"layer 'p', python_param.module: cannot import 'no_such_file'.*PYTHONPATH",
    ):
        netrun.Net(parse(text, pb.NetParameter), netrun.TEST)


def test_relu6_is_exact() -> None:
    """min(max(x, 0), 6) and its slope.

    Exact to the last bit up to 12, and above but for the rounding of x − 6.
    """
    x = (
        np.concatenate([np.random.default_rng(0).uniform(-3, 12, 500), [-1, 0, 6, 12, 1000.3]])
        .astype(np.float32)
        .reshape(1, 5, 1, 101)
    )
    built = Net("n", "train")
    activation(built, "a", built.input("x", x.shape), Style(relu6=True))
    built.proto.force_backward = True
    built.proto.layer[0].top[0] = built.proto.layer[1].bottom[0] = built.proto.layer[3].bottom[
        0
    ] = "positive"  # x itself stays to be read
    engine = netrun.Net(built.proto, netrun.TRAIN)
    engine.blobs["x"].data[...] = x
    engine.forward()
    near = x <= 12
    np.testing.assert_array_equal(engine.blobs["a/relu6"].data[near], x.clip(0, 6)[near])
    np.testing.assert_allclose(engine.blobs["a/relu6"].data, x.clip(0, 6), atol=1e-4)
    engine.blobs["a/relu6"].diff[...] = 1
    engine.backward()
    inside, edge = (x > 0) & (x < 6), np.isin(x, (0, 6))
    np.testing.assert_array_equal(engine.blobs["x"].diff[~edge], inside[~edge])
