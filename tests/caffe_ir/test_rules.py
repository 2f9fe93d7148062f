"""Layer rules against hand arithmetic, against what Caffe refuses, and against the shapes in every
golden case.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.rules import Shape, layer_types
from caffe_ir.rules.detection import aspect_ratios, boxes_per_cell
from caffe_ir.upgrade import upgrade_net
from caffe_ir.walk import walk
from tests.caffe_ir.support import MAP, assert_facts, conv, of, pool
from tests.support import golden

# body, bottoms, top shapes, parameter shapes, MACs
CASES: dict[str, tuple[str, list[Shape], list[Shape], list[Shape], int]] = {
    # VGG's conv1_1: 300 x 300 places, each 64 x 3 x 3 x 3
    "conv 3x3 pad 1": (
        conv("num_output: 64 kernel_size: 3 pad: 1"),
        [(1, 3, 300, 300)],
        [(1, 64, 300, 300)],
        [(64, 3, 3, 3), (64,)],
        90000 * 1728,
    ),
    # floor((9 - 3) / 2) + 1 = 4, floor((11 - 3) / 2) + 1 = 5
    "conv stride 2": (
        conv("num_output: 4 kernel_size: 3 stride: 2 bias_term: false"),
        [MAP],
        [(2, 4, 4, 5)],
        [(4, 6, 3, 3)],
        2 * 20 * 4 * 6 * 9,
    ),
    "conv floors": (
        conv("num_output: 4 kernel_size: 2 stride: 2"),
        [MAP],
        [(2, 4, 4, 5)],
        [(4, 6, 2, 2), (4,)],
        2 * 20 * 4 * 6 * 4,
    ),
    # fc6 of the reduced VGG: extent 6 x 2 + 1 = 13, 19 + 12 - 13 + 1 = 19; 361 places
    "conv dilated": (
        conv("num_output: 1024 kernel_size: 3 pad: 6 dilation: 6"),
        [(1, 512, 19, 19)],
        [(1, 1024, 19, 19)],
        [(1024, 512, 3, 3), (1024,)],
        361 * 1024 * 512 * 9,
    ),
    "conv grouped": (
        conv("num_output: 4 kernel_size: 1 group: 2"),
        [MAP],
        [(2, 4, 9, 11)],
        [(4, 3, 1, 1), (4,)],
        2 * 99 * 4 * 3,
    ),
    "conv depthwise": (
        conv("num_output: 6 kernel_size: 3 group: 6 pad: 1"),
        [MAP],
        [(2, 6, 9, 11)],
        [(6, 1, 3, 3), (6,)],
        2 * 99 * 6 * 9,
    ),
    "conv kernel_h and kernel_w": (
        conv("num_output: 1 kernel_h: 1 kernel_w: 5 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 2"),
        [MAP],
        [(2, 1, 5, 11)],
        [(1, 6, 1, 5), (1,)],
        2 * 55 * 30,
    ),
    "conv per axis": (
        conv("num_output: 1 kernel_size: 1 kernel_size: 5 pad: 0 pad: 2"),
        [MAP],
        [(2, 1, 9, 11)],
        [(1, 6, 1, 5), (1,)],
        2 * 99 * 30,
    ),
    "conv of three axes": (
        conv("num_output: 2 kernel_size: 3"),
        [(1, 4, 5, 6, 7)],
        [(1, 2, 3, 4, 5)],
        [(2, 4, 3, 3, 3), (2,)],
        60 * 2 * 4 * 27,
    ),
    "conv along axis 2": (
        conv("num_output: 3 kernel_size: 3 axis: 2"),
        [(2, 5, 6, 9)],
        [(2, 5, 3, 7)],
        [(3, 6, 3), (3,)],
        2 * 5 * 7 * 3 * 6 * 3,
    ),
    "conv of two bottoms": (
        conv("num_output: 4 kernel_size: 1"),
        [MAP, MAP],
        [(2, 4, 9, 11)] * 2,
        [(4, 6, 1, 1), (4,)],
        2 * 2 * 99 * 24,
    ),
    # 2 (9 - 1) + 2 = 18, 2 (11 - 1) + 2 = 22; the kernel is laid on each of the 99 bottom places
    "deconv": (
        'type: "Deconvolution" convolution_param { num_output: 4 kernel_size: 2 stride: 2 }',
        [MAP],
        [(2, 4, 18, 22)],
        [(6, 4, 2, 2), (4,)],
        2 * 99 * 6 * 4 * 4,
    ),
    "deconv bilinear": (
        (
            'type: "Deconvolution" convolution_param { num_output: 6 group: 6 kernel_size: 4 '
            'stride: 2 pad: 1 bias_term: false weight_filler { type: "bilinear" } }'
        ),
        [MAP],
        [(2, 6, 18, 22)],
        [(6, 1, 4, 4)],
        2 * 99 * 6 * 16,
    ),
    "inner product": (
        'type: "InnerProduct" inner_product_param { num_output: 10 }',
        [MAP],
        [(2, 10)],
        [(10, 594), (10,)],
        2 * 594 * 10,
    ),
    "inner product along axis 2": (
        'type: "InnerProduct" inner_product_param { num_output: 10 axis: 2 bias_term: false }',
        [MAP],
        [(2, 6, 10)],
        [(10, 99)],
        12 * 99 * 10,
    ),
    "inner product transposed": (
        'type: "InnerProduct" inner_product_param { num_output: 10 axis: -1 transpose: true }',
        [(4, 5)],
        [(4, 10)],
        [(5, 10), (10,)],
        200,
    ),
    "embed": (
        'type: "Embed" embed_param { num_output: 3 input_dim: 7 }',
        [(4, 5)],
        [(4, 5, 3)],
        [(7, 3), (3,)],
        0,
    ),
    # ceil((9 - 2) / 2) + 1 = 5, ceil((11 - 2) / 2) + 1 = 6
    "pool ceils": (pool("kernel_size: 2 stride: 2"), [MAP], [(2, 6, 5, 6)], [], 0),
    # VGG's pool5 in SSD keeps 19; ceil((19 + 2 - 3) / 1) + 1 = 19
    "pool 3x3 stride 1 pad 1": (
        pool("kernel_size: 3 pad: 1"),
        [(1, 512, 19, 19)],
        [(1, 512, 19, 19)],
        [],
        0,
    ),
    # ceil((10 + 2 - 3) / 2) + 1 = 6, whose last window begins at 10 - 1 = 9 < 10: kept. For 9:
    # ceil(8 / 2) + 1 = 5
    "pool with pad": (
        pool("kernel_size: 3 stride: 2 pad: 1"),
        [(1, 1, 10, 9)],
        [(1, 1, 6, 5)],
        [],
        0,
    ),
    # ceil((4 + 2 - 2) / 2) + 1 = 3: begins at 2 x 2 = 4 < 4 + 1: kept. For 5: ceil(5 / 2) + 1 = 4,
    # begins at 6 >= 5 + 1: left out
    "pool clips the window in the padding": (
        pool("kernel_size: 2 stride: 2 pad: 1"),
        [(1, 1, 4, 5)],
        [(1, 1, 3, 3)],
        [],
        0,
    ),
    "pool larger than the map": (
        pool("kernel_size: 3 stride: 2"),
        [(1, 1, 2, 2)],
        [(1, 1, 1, 1)],
        [],
        0,
    ),
    "pool kernel_h and kernel_w": (
        pool("kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pool: AVE"),
        [MAP],
        [(2, 6, 9, 5)],
        [],
        0,
    ),
    # With kernel_size given, Caffe does not mind one of the pair beside it, and does not read it.
    "pool kernel_size and kernel_h": (
        pool("kernel_size: 2 kernel_h: 5 stride: 2"),
        [MAP],
        [(2, 6, 5, 6)],
        [],
        0,
    ),
    "pool global": (pool("global_pooling: true pool: AVE"), [MAP], [(2, 6, 1, 1)], [], 0),
    "relu": ('type: "ReLU"', [MAP], [MAP], [], 0),
    "prelu": ('type: "PReLU"', [MAP], [MAP], [(6,)], 0),
    "prelu shared": ('type: "PReLU" prelu_param { channel_shared: true }', [MAP], [MAP], [()], 0),
    "batch norm": ('type: "BatchNorm"', [MAP], [MAP], [(6,), (6,), (1,)], 0),
    "batch norm of two axes": ('type: "BatchNorm"', [(4, 5)], [(4, 5)], [(5,), (5,), (1,)], 0),
    "scale": ('type: "Scale" scale_param { bias_term: true }', [MAP], [MAP], [(6,), (6,)], 0),
    "scale over all axes": (
        'type: "Scale" scale_param { num_axes: -1 }',
        [MAP],
        [MAP],
        [(6, 9, 11)],
        0,
    ),
    "scale over two axes": (
        'type: "Scale" scale_param { axis: 2 num_axes: 2 bias_term: true }',
        [MAP],
        [MAP],
        [(9, 11), (9, 11)],
        0,
    ),
    "scale by one number": ('type: "Scale" scale_param { num_axes: 0 }', [MAP], [MAP], [()], 0),
    "scale by a blob": (
        'type: "Scale" scale_param { axis: 0 bias_term: true }',
        [MAP, (2, 6)],
        [MAP],
        [(2, 6)],
        0,
    ),
    "bias": ('type: "Bias"', [MAP], [MAP], [(6,)], 0),
    "bias from a blob": ('type: "Bias" bias_param { axis: 0 }', [MAP, (2,)], [MAP], [], 0),
    "normalize": (
        'type: "Normalize" norm_param { channel_shared: false }',
        [MAP],
        [MAP],
        [(6,)],
        0,
    ),
    "normalize of two axes": (
        'type: "Normalize" norm_param { channel_shared: false }',
        [(4, 5)],
        [(4, 5)],
        [(5,)],
        0,
    ),
    "normalize shared": ('type: "Normalize"', [MAP], [MAP], [()], 0),
    "mvn has four axes": ('type: "MVN"', [(2, 6)], [(2, 6, 1, 1)], [], 0),
    "eltwise": ('type: "Eltwise"', [MAP, MAP, MAP], [MAP], [], 0),
    "concat": ('type: "Concat"', [MAP, (2, 4, 9, 11)], [(2, 10, 9, 11)], [], 0),
    "concat from the end": (
        'type: "Concat" concat_param { axis: -2 }',
        [(1, 2, 4), (1, 3, 4)],
        [(1, 5, 4)],
        [],
        0,
    ),
    "concat_dim": (
        'type: "Concat" concat_param { concat_dim: 0 }',
        [MAP, MAP],
        [(4, 6, 9, 11)],
        [],
        0,
    ),
    "slice at points": (
        'type: "Slice" slice_param { slice_point: 1 slice_point: 3 } top: "a" top: "b" top: "c"',
        [MAP],
        [(2, 1, 9, 11), (2, 2, 9, 11), (2, 3, 9, 11)],
        [],
        0,
    ),
    "slice evenly": (
        'type: "Slice" slice_param { axis: 2 } top: "a" top: "b" top: "c"',
        [MAP],
        [(2, 6, 3, 11)] * 3,
        [],
        0,
    ),
    "split": ('type: "Split" top: "a" top: "b"', [MAP], [MAP, MAP], [], 0),
}


@pytest.mark.parametrize(
    ("body", "bottoms", "tops", "params", "macs"),
    [pytest.param(*case, id=name) for name, case in CASES.items()],
)
def test_by_hand(
    body: str, bottoms: list[Shape], tops: list[Shape], params: list[Shape], macs: int
) -> None:
    assert_facts(body, bottoms, tops, params, macs)


def test_what_fills_and_what_learns() -> None:
    found = of(conv('num_output: 1 kernel_size: 1 weight_filler { type: "xavier" }'), MAP)
    assert found.params[0].filler == pb.FillerParameter(type="xavier")
    assert found.params[1].filler is None
    ones = [
        of(body, MAP).params[0].filler
        for body in ('type: "Scale"', 'type: "Normalize"', 'type: "PReLU"')
    ]
    assert [filler.value for filler in ones if filler] == [1, 1, 0.25]
    assert [param.learnable for param in of('type: "BatchNorm"', MAP).params] == [False] * 3


@pytest.mark.parametrize(
    ("fields", "ratios", "boxes"),
    [
        ("min_size: 30", [1], 1),
        ("min_size: 30 max_size: 60 aspect_ratio: 2", [1, 2, 1 / 2], 4),
        ("min_size: 30 max_size: 60 aspect_ratio: 2 aspect_ratio: 3", [1, 2, 1 / 2, 3, 1 / 3], 6),
        ("min_size: 30 aspect_ratio: 2 aspect_ratio: 3 flip: false", [1, 2, 3], 3),
        # 1 is there from the start, and 0.5 since 2 was flipped.
        (
            "min_size: 30 aspect_ratio: 1 aspect_ratio: 2 aspect_ratio: 0.5 aspect_ratio: 2",
            [1, 2, 1 / 2],
            3,
        ),
        ("min_size: 30 aspect_ratio: 2 aspect_ratio: 0.5 flip: false", [1, 2, 0.5], 3),
        (
            "min_size: 30 min_size: 40 max_size: 60 max_size: 70 aspect_ratio: 2",
            [1, 2, 1 / 2],
            2 * 3 + 2,
        ),
    ],
)
def test_boxes_per_cell(fields: str, ratios: list[float], boxes: int) -> None:
    param = text.parse(fields, pb.PriorBoxParameter)
    assert aspect_ratios(param) == pytest.approx(ratios)
    assert boxes_per_cell(param) == boxes


def test_every_type_of_the_ssd_nets_has_a_rule() -> None:
    ssd = (
        "AnnotatedData PriorBox Permute Normalize MultiBoxLoss DetectionOutput "
        "DetectionEvaluate VideoData SmoothL1Loss"
    )
    fssd = "Interp FocalLoss Axpy"
    assert {*ssd.split(), *fssd.split()} <= set(layer_types())


# How many rows these layers put out is known only when they run.
ROWS_AT_RUN_TIME = {"DetectionOutput", "DetectionEvaluate"}


@pytest.mark.parametrize(
    "path", golden("layers/*.npz") + golden("detection/*.npz") + golden("fssd/*.npz")
)
def test_shapes_are_those_that_caffe_made(path: Path) -> None:
    with np.load(path) as case:
        arrays = {key: case[key].shape for key in case.files}
        net = text.parse(str(case["prototxt"]), pb.NetParameter, str(path))
        phase = pb.Phase.Value(str(case["phase"]))
    upgrade_net(net)
    found = walk(filter_net(net, phase))
    by_name = {walked.layer.name: walked for walked in found.layers}
    last = {top: walked.layer.type for walked in found.layers for top in walked.layer.top}
    outputs = [key for key in arrays if key.startswith("out:")]
    assert outputs
    for key in outputs + [key for key in arrays if key.startswith("in:")]:
        blob = key.split(":", 1)[1]
        shape, recorded = found.blobs[blob], arrays[key]
        if last[blob] in ROWS_AT_RUN_TIME:
            shape, recorded = (*shape[:2], shape[3]), (*recorded[:2], recorded[3])
        assert shape == recorded, blob
    recorded_params = {
        tuple(key.split(":")[1:]): shape
        for key, shape in arrays.items()
        if key.startswith("param:")
    }
    for (layer, index), shape in recorded_params.items():
        assert by_name[layer].facts.params[int(index)].shape == shape, layer
    for name, walked in by_name.items():
        owned = sum(1 for layer, _ in recorded_params if layer == name)
        assert owned in (0, len(walked.facts.params)), name
