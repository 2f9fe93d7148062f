"""pycaffe's calls beyond forward and backward of one batch: modes, seeds, index lists, many images,
kept arrays, Classifier, Detector.
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.pycaffe import mode
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import build, data, layer

RNG = np.random.default_rng(11)
CONV = 'convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }'
NET = (
    "force_backward: true "
    + data("x", 2, 3, 6, 6)
    + layer("Convolution", "x", "c", CONV)
    + layer("ReLU", "c", "c", name="r")
)
SCORES = layer(
    "InnerProduct",
    "x",
    "s",
    'inner_product_param { num_output: 3 weight_filler { type: "xavier" } }',
) + layer("Softmax", "s", "prob")


@pytest.fixture(autouse=True)
def fresh_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "_STATE", type(mode._STATE)())


def test_modes(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("netrun"), "propagate", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    netrun.set_device(3)
    netrun.set_mode_gpu()
    assert "no CUDA device here; nets compute on the CPU" in caplog.text
    assert build(NET).device.type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert mode.device() == torch.device("cuda", 3)
    with pytest.raises(CaffeError, match="no device 2; this machine has 0 to 1"):
        netrun.set_device(2)
    netrun.set_device(1)
    assert mode.device() == torch.device("cuda", 1)
    netrun.set_mode_cpu()
    assert mode.device() == torch.device("cpu")


def test_seeds(tmp_path: Path) -> None:
    def weights() -> np.ndarray:
        return build(NET).params["c"][0].data.copy()

    first = weights()
    netrun.set_random_seed(4)
    fourth = weights()
    assert not np.array_equal(first, fourth)
    assert np.array_equal(fourth, build(NET, seed=4).params["c"][0].data)
    words = NET + layer("Reduction", "c", "l", "loss_weight: 1")
    solver = pb.SolverParameter(base_lr=1, lr_policy="fixed", max_iter=1)
    solver.net_param.CopyFrom(text.parse(words, pb.NetParameter))
    assert np.array_equal(fourth, netrun.Solver(solver).net.params["c"][0].data)
    solver.random_seed = 5
    assert not np.array_equal(fourth, netrun.Solver(solver).net.params["c"][0].data)


def test_callbacks() -> None:
    param = pb.SolverParameter(base_lr=0.5, lr_policy="fixed", iter_size=2)
    param.net_param.CopyFrom(
        text.parse(NET + layer("Reduction", "c", "l", "loss_weight: 1"), pb.NetParameter)
    )
    solver = netrun.Solver(param)
    bias = solver.net.params["c"][1]
    seen: list[tuple[str, bool, float]] = []
    solver.add_callback(
        lambda: seen.append(("start", bool(bias.diff.any()), float(bias.data[0]))),
        lambda: seen.append(("ready", bool(bias.diff.any()), float(bias.data[0]))),
    )
    # Images of zeros become 100 at all of 2 x 16 places, so that the bias loses 0.5 * 32 a step.
    bias.data[...] = 100
    solver.step(2)
    assert seen == [
        ("start", False, 100),
        ("ready", True, 100),
        ("start", False, 84),
        ("ready", True, 84),
    ]


def test_arguments_in_every_order(tmp_path: Path) -> None:
    words = NET + layer("ReLU", "c", "d", 'include { min_level: 1 stage: "deep" }')
    (tmp_path / "n.prototxt").write_text(words)
    file, weights = str(tmp_path / "n.prototxt"), str(tmp_path / "w.caffemodel")
    source = build(NET, seed=9)
    source.save(weights)
    filled = source.params["c"][0].data
    for net in (
        netrun.Net(file, weights, netrun.TEST),
        netrun.Net(file, netrun.TEST, weights),
        netrun.Net(file, netrun.TEST, weights=weights),
        netrun.Net(network_file=file, phase=netrun.TEST, level=1, stages=["deep"], weights=weights),
        netrun.Net(file, netrun.TEST, 1, ["deep"], weights),
    ):
        assert np.array_equal(net.params["c"][0].data, filled)
        assert ("d" in net.blobs) == (len(net.layers) > 3)
    assert "d" in net.blobs
    assert netrun.Net(file, netrun.TRAIN, 0).phase == netrun.TRAIN


def test_index_lists() -> None:
    net = build(
        NET + layer("Power", "c", "p") + layer("Reduction", "x", "l", "loss_weight: 3"), netrun.TEST
    )
    names = net._blob_names
    assert names == list(net.blobs)
    assert [names[i] for i in net._inputs] == net.inputs == ["x"]
    assert [names[i] for i in net._outputs] == net.outputs
    for i, name in enumerate(net._layer_names):
        assert [names[j] for j in net._top_ids(i)] == net.top_names[name]
        assert [names[j] for j in net._bottom_ids(i)] == net.bottom_names[name]
    assert dict(zip(names, net._blob_loss_weights, strict=True)) == net.blob_loss_weights
    assert net.blob_loss_weights["l"] == 3
    assert [b.shape for b in net._blobs] == [b.shape for b in net.blobs.values()]


def test_forward_and_backward_over_many_images() -> None:
    net = build(NET)
    x, d = (
        RNG.standard_normal((5, 3, 6, 6)).astype("f"),
        RNG.standard_normal((5, 4, 4, 4)).astype("f"),
    )
    blobs, diffs = net.forward_backward_all(blobs=["x"], diffs=["c"], x=x, c=d)
    np.testing.assert_array_equal(blobs["x"], x)
    assert {name: values.shape for name, values in diffs.items()} == {"x": x.shape, "c": d.shape}
    for i in (0, 2):
        np.testing.assert_array_equal(net.forward(x=x[i : i + 2])["c"], blobs["c"][i : i + 2])
        np.testing.assert_array_equal(net.backward(c=d[i : i + 2])["x"], diffs["x"][i : i + 2])
    with pytest.raises(CaffeError, match=r"x must be of one length, not of \[0\]"):
        net.forward_all(x=x[:0])


@pytest.mark.parametrize("phase", [netrun.TRAIN, netrun.TEST])
def test_kept_arrays_show_the_latest_forward(phase: int) -> None:
    """The net surgery notebook keeps `net.blobs["conv"].data[0, 0]` over a forward."""
    net, other = (
        build(NET + layer("PReLU", "c", "c", name="p"), phase),
        build(NET + layer("PReLU", "c", "c", name="p"), phase),
    )
    other.share_with(net)
    given = net.blobs["x"].data
    given[...] = other.blobs["x"].data[...] = RNG.standard_normal(given.shape)
    first = net.forward()["c"]
    kept, before = net.blobs["c"].data[0, 0], first.copy()
    net.params["c"][1].data[0] += 1
    net.forward()
    wanted = other.forward()["c"]
    assert not np.array_equal(wanted, before)
    assert np.array_equal(first, wanted)
    assert np.array_equal(kept, wanted[0, 0])
    gradient = RNG.standard_normal(wanted.shape)
    assert np.array_equal(net.backward(c=gradient)["x"], other.backward(c=gradient)["x"])
    first[...] = 3  # it is the blob's own memory still
    assert (net.forward(start="p")["c"] == 3).all()
    assert np.shares_memory(given, net.blobs["x"].data)
    net.blobs["x"].reshape(2, 3, 4, 9)  # as many values: the same memory in another shape
    assert net.blobs["x"].data.shape == (2, 3, 4, 9)
    assert np.shares_memory(given, net.blobs["x"].data)
    net.blobs["x"].reshape(1, 3, 6, 6)
    net.forward()
    assert net.blobs["c"].data.shape == (1, 4, 4, 4)
    assert (first == 3).all()


@pytest.fixture
def classifier(tmp_path: Path) -> tuple[str, str]:
    """A net of 3 classes over 2 images of 8 x 8, and its weights."""
    (tmp_path / "n.prototxt").write_text(data("x", 2, 3, 8, 8) + SCORES)
    netrun.Net(str(tmp_path / "n.prototxt"), netrun.TEST, seed=2).save(tmp_path / "w.caffemodel")
    return str(tmp_path / "n.prototxt"), str(tmp_path / "w.caffemodel")


@pytest.mark.parametrize("oversample", [True, False])
def test_classifier(classifier: tuple[str, str], oversample: bool) -> None:
    settings = {
        "mean": np.array([0.1, 0.2, 0.3]),
        "raw_scale": 2.0,
        "channel_swap": (2, 1, 0),
        "input_scale": 0.5,
    }
    net = netrun.Classifier(*classifier, image_dims=(10, 12), **settings)
    images = [RNG.random((20, 24, 3)), RNG.random((10, 12, 3)), RNG.random((10, 12, 3))]
    found = net.predict(images, oversample=oversample)
    assert found.shape == (3, 3)
    plain = netrun.Net(*classifier, netrun.TEST)
    image, means = images[1].astype(np.float32), []
    starts = [(0, 0), (0, 4), (2, 0), (2, 4), (1, 2)] if oversample else [(1, 2)]
    for y, x in starts:
        crop = image[y : y + 8, x : x + 8]
        for flipped in (crop, crop[:, ::-1])[: 1 + oversample]:
            values = (flipped[:, :, ::-1] * 2 - [0.1, 0.2, 0.3]).transpose(2, 0, 1) / 2
            means.append(plain.forward(x=np.stack([values, values]))["prob"][0].copy())
    np.testing.assert_allclose(found[1], np.mean(means, 0), rtol=1e-5)


def test_detector(classifier: tuple[str, str], tmp_path: Path) -> None:
    file = str(tmp_path / "image.png")
    image = RNG.integers(0, 256, (30, 40, 3), np.uint8)
    cv2.imwrite(file, image[:, :, ::-1])
    net = netrun.Detector(
        *classifier, mean=np.array([10, 20, 30]), raw_scale=255, channel_swap=(2, 1, 0)
    )
    windows = np.array([[5, 6, 13, 14], [0, 0, 30, 40], [2, 3, 10, 30]])
    found = net.detect_windows([(file, windows)])
    assert [list(d["window"]) for d in found] == windows.tolist()
    values = (image[5:13, 6:14, ::-1] - np.array([10, 20, 30.0])).transpose(2, 0, 1)
    wanted = netrun.Net(*classifier, netrun.TEST).forward(x=np.stack([values] * 2))["prob"][0]
    np.testing.assert_allclose(found[0]["prediction"], wanted, rtol=1e-4)
    padded = netrun.Detector(
        *classifier,
        mean=np.array([10, 20, 30]),
        raw_scale=255,
        channel_swap=(2, 1, 0),
        context_pad=2,
    )
    # 8 - 2 * 2 pixels of the input show the window of 8 x 8, so 16 x 16 of the image, here 4 beyond
    # its corner: the mean in RGB
    crop = padded.crop(image / np.float32(255), np.array([0, 0, 7, 7]))
    assert crop.shape == (8, 8, 3)
    np.testing.assert_allclose(
        crop[:2], np.broadcast_to(np.array([30, 20, 10]) / np.float32(255), (2, 8, 3)), rtol=1e-6
    )
    assert not np.allclose(crop[2:, 2:], crop[0, 0])
    with pytest.raises(CaffeError, match="MATLAB"):
        net.detect_selective_search([file])


def test_kept_arrays_never_write_to_what_layers_keep() -> None:
    """Prior boxes that are kept between forwards, arrays of MemoryData, a parameter as a top."""
    prior = layer("PriorBox", "x i", "p", "prior_box_param { min_size: 4 }")
    net = build(data("x", 1, 2, 2, 2) + data("i", 1, 3, 8, 8) + prior, netrun.TEST)
    found = {}
    for size in (8, 16, 8, 16):
        net.blobs["i"].reshape(1, 3, size, size)
        kept = net.forward()["p"]
        assert np.array_equal(found.setdefault(size, kept.copy()), kept)
        kept[...] = 9
    assert not np.array_equal(found[8], found[16])
    memory = (
        'layer { name: "d" type: "MemoryData" top: "x" top: "l" '
        "memory_data_param { batch_size: 1 channels: 1 height: 1 width: 2 } }"
    )
    net = build(memory, netrun.TEST)
    values, labels = (
        np.arange(6, dtype=np.float32).reshape(3, 1, 1, 2),
        np.arange(3, dtype=np.float32),
    )
    net.set_input_arrays(values, labels)
    kept = net.forward()["x"]
    for row in (1, 2, 0):
        net.forward()
        assert kept.ravel().tolist() == [2 * row, 2 * row + 1]
    assert values.ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_what_is_written_to_constant_dummy_data_stays() -> None:
    fields = (
        "dummy_data_param { shape { dim: 3 } shape { dim: 2 } "
        'data_filler { type: "constant" value: 4 } data_filler { type: "gaussian" } }'
    )
    net = build(
        layer("DummyData", "", "l g", fields, name="d") + layer("Power", "l", "p"), netrun.TEST
    )
    assert net.blobs["l"].data.tolist() == [4, 4, 4]
    net.blobs["l"].data[...] = [
        1,
        2,
        3,
    ]  # as in Caffe's own tests: labels, before the first forward
    drawn = net.forward(blobs=["l", "g"])["g"].copy()
    assert net.blobs["p"].data.tolist() == [1, 2, 3]
    net.blobs["l"].data[0] = 7
    assert net.forward(blobs=["g"])["p"].tolist() == [7, 2, 3]
    assert not np.array_equal(net.blobs["g"].data, drawn)
