"""Whole detectors against the reference Caffe, with weights by the formula of
shared/golden/how/record_nets.py.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from tests.support import SHARED, golden


def remake_weights(net: netrun.Net, head_divisor: float) -> None:
    """Fill the net as record_nets.py does: every value follows from the layer's name and the blob's
    number.
    """
    for name, blobs in net.params.items():
        kind = net.layer_dict[name].type
        for i, blob in enumerate(blobs):
            r, shape = np.random.RandomState(zlib.crc32(f"{name}/{i}".encode())), blob.data.shape
            if kind in ("Convolution", "Deconvolution", "InnerProduct"):
                if i == 0:
                    values = r.standard_normal(shape) * np.sqrt(
                        float(len(blobs)) / np.prod(shape[1:])
                    )
                    if name.replace("new", "").endswith(("mbox_conf", "mbox_loc")):
                        values = values / head_divisor
                else:
                    values = r.standard_normal(shape) * 0.01
            elif kind == "BatchNorm":
                values = [
                    r.standard_normal(shape) * 0.1,
                    r.uniform(0.5, 1.5, shape),
                    np.ones(shape),
                ][i]
            elif kind == "Scale":
                values = r.uniform(0.3, 0.6, shape) if i == 0 else r.standard_normal(shape) * 0.1
            else:
                assert kind == "Normalize"
                continue
            blob.data[...] = values


def same_detections(ours: np.ndarray, reference: np.ndarray) -> None:
    """Assert the same rows (image, label, score, box) in the same order, ties in score aside."""
    assert ours.shape == reference.shape
    np.testing.assert_allclose(ours[:, 2], reference[:, 2], atol=1e-4)
    unmatched = list(range(len(reference)))
    for row in ours:
        near = [
            k
            for k in unmatched
            if (reference[k, :2] == row[:2]).all()
            and abs(reference[k, 2] - row[2]) < 1e-4
            and np.abs(reference[k, 3:] - row[3:]).max() < 1e-3
        ]
        assert near, f"no detection like {row}"
        unmatched.remove(near[0])


@pytest.mark.parametrize("path", golden("nets/*.npz"))
def test_detector(path: Path) -> None:
    check(path, text.read_net(SHARED / "reference" / "prototxt" / path.stem / "deploy.prototxt"))


def check(path: Path, proto: pb.NetParameter) -> None:
    """Assert that a deploy net computes what is recorded in a case."""
    case = np.load(path)
    for layer in proto.layer:
        if layer.type == "DetectionOutput":
            layer.detection_output_param.ClearField("save_output_param")
    net = netrun.Net(proto, netrun.TEST)
    remake_weights(net, float(case["head_divisor"]))
    image = case["image"].astype(np.float32) - np.array([104, 117, 123], np.float32).reshape(
        1, 3, 1, 1
    )
    net.blobs["data"].reshape(*image.shape)
    net.forward(data=image)
    for key in case.files:
        kind, _, name = key.partition(":")
        if kind == "stat":
            values, at = net.blobs[name].data.ravel(), case[f"at:{name}"]
            mean, deviation = case[key]
            scale = max(float(np.abs(at).max()), float(deviation))
            assert abs(values.mean() - mean) < 1e-4 * scale, name
            assert abs(values.std() - deviation) < 1e-4 * scale, name
            picked = values[np.linspace(0, values.size - 1, 200).astype(int)]
            assert np.abs(picked - at).max() < 1e-4 * scale, name
    same_detections(net.blobs["detection_out"].data.reshape(-1, 7), case["detections"])
