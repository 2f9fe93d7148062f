"""Rules of layers that rearrange, pick or compare values, and of data layers, by hand."""

from __future__ import annotations

import pytest

from caffe_ir.rules import Shape
from tests.caffe_ir.support import (
    DETECT,
    EVALUATE,
    MAP,
    MULTIBOX,
    PREDICTIONS,
    PRIORS,
    assert_facts,
)

# body, bottoms, top shapes, parameter shapes, MACs
CASES: dict[str, tuple[str, list[Shape], list[Shape], list[Shape], int]] = {
    "flatten": ('type: "Flatten"', [MAP], [(2, 594)], [], 0),
    "flatten the middle": (
        'type: "Flatten" flatten_param { axis: 1 end_axis: -2 }',
        [MAP],
        [(2, 54, 11)],
        [],
        0,
    ),
    # SSD: N x (H W boxes classes) -> N x priors x classes
    "reshape 0 -1 21": (
        'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 dim: 21 } }',
        [(8, 183372)],
        [(8, 8732, 21)],
        [],
        0,
    ),
    "reshape some axes": (
        'type: "Reshape" reshape_param { axis: 1 num_axes: 2 shape { dim: -1 } }',
        [MAP],
        [(2, 54, 11)],
        [],
        0,
    ),
    "reshape inserts an axis": (
        'type: "Reshape" reshape_param { axis: -1 num_axes: 0 shape { dim: 1 } }',
        [MAP],
        [(*MAP, 1)],
        [],
        0,
    ),
    "permute": (
        'type: "Permute" permute_param { order: 0 order: 2 order: 3 order: 1 }',
        [MAP],
        [(2, 9, 11, 6)],
        [],
        0,
    ),
    "permute names some": (
        'type: "Permute" permute_param { order: 3 }',
        [MAP],
        [(11, 2, 6, 9)],
        [],
        0,
    ),
    # 3 x 3 values of 6 channels; (9 + 2 - 5) / 2 + 1 = 4, (11 + 2 - 5) / 2 + 1 = 5
    "im2col": (
        'type: "Im2col" convolution_param { kernel_size: 3 stride: 2 pad: 1 dilation: 2 }',
        [MAP],
        [(2, 54, 4, 5)],
        [],
        0,
    ),
    "im2col from axis 2": (
        'type: "Im2col" convolution_param { kernel_size: 3 axis: 2 }',
        [(2, 3, 4, 7)],
        [(2, 3, 12, 5)],
        [],
        0,
    ),
    # 6 channels of 1 + 2 x 2 + 4 x 4 bins
    "spp": ('type: "SPP" spp_param { pyramid_height: 3 }', [(2, 6, 8, 12)], [(2, 126)], [], 0),
    "spp of one level": (
        'type: "SPP" spp_param { pyramid_height: 1 }',
        [MAP],
        [(2, 6, 1, 1)],
        [],
        0,
    ),
    # x: 20 rows of 2 values, h: of 5; 4 steps of 3 streams
    "lstm": (
        'type: "LSTM" recurrent_param { num_output: 5 }',
        [(4, 3, 2), (4, 3)],
        [(4, 3, 5)],
        [(20, 2), (20,), (20, 5)],
        4 * 3 * (40 + 100),
    ),
    "lstm with a static input": (
        'type: "LSTM" recurrent_param { num_output: 5 }',
        [(4, 3, 2, 2), (4, 3), (3, 7)],
        [(4, 3, 5)],
        [(20, 4), (20,), (20, 7), (20, 5)],
        4 * 3 * (80 + 100) + 3 * 140,
    ),
    "lstm exposed": (
        'type: "LSTM" recurrent_param { num_output: 5 expose_hidden: true }',
        [(4, 3, 2), (4, 3), (1, 3, 5), (1, 3, 5)],
        [(4, 3, 5), (1, 3, 5), (1, 3, 5)],
        [(20, 2), (20,), (20, 5)],
        4 * 3 * (40 + 100),
    ),
    "rnn": (
        'type: "RNN" recurrent_param { num_output: 5 }',
        [(4, 3, 2), (4, 3)],
        [(4, 3, 5)],
        [(5, 2), (5,), (5, 5), (5, 5), (5,)],
        4 * 3 * (10 + 25 + 25),
    ),
    "lstm unit": ('type: "LSTMUnit"', [(1, 3, 4), (1, 3, 16), (1, 3)], [(1, 3, 4)] * 2, [], 0),
    "tile": ('type: "Tile" tile_param { axis: 2 tiles: 3 }', [MAP], [(2, 6, 27, 11)], [], 0),
    "reduction": ('type: "Reduction" reduction_param { axis: 1 }', [MAP], [(2,)], [], 0),
    "reduction to a scalar": ('type: "Reduction"', [MAP], [()], [], 0),
    "argmax": ('type: "ArgMax" argmax_param { top_k: 3 }', [MAP], [(2, 1, 3, 1)], [], 0),
    "argmax with values": (
        'type: "ArgMax" argmax_param { out_max_val: true }',
        [(4, 10)],
        [(4, 2, 1)],
        [],
        0,
    ),
    "argmax along an axis": (
        'type: "ArgMax" argmax_param { axis: 1 }',
        [MAP],
        [(2, 1, 9, 11)],
        [],
        0,
    ),
    "crop": (
        'type: "Crop" crop_param { offset: 1 offset: 2 }',
        [MAP, (1, 1, 8, 9)],
        [(2, 6, 8, 9)],
        [],
        0,
    ),
    "crop from axis 1": (
        'type: "Crop" crop_param { axis: 1 offset: 2 }',
        [MAP, (1, 4, 7, 9)],
        [(2, 4, 7, 9)],
        [],
        0,
    ),
    "interp to a size": (
        'type: "Interp" interp_param { height: 38 width: 38 }',
        [(1, 256, 19, 19)],
        [(1, 256, 38, 38)],
        [],
        0,
    ),
    # (9 - 1) / 2 + 1 = 5, (11 - 1) / 2 + 1 = 6
    "interp shrinks": (
        'type: "Interp" interp_param { shrink_factor: 2 height: 3 width: 3 }',
        [MAP],
        [(2, 6, 5, 6)],
        [],
        0,
    ),
    # 9 + 8 = 17, 11 + 10 = 21
    "interp zooms": (
        'type: "Interp" interp_param { zoom_factor: 2 }',
        [MAP],
        [(2, 6, 17, 21)],
        [],
        0,
    ),
    # to 5 x 6, then 5 + 4 x 2 = 13, 6 + 5 x 2 = 16
    "interp shrinks and zooms": (
        'type: "Interp" interp_param { shrink_factor: 2 zoom_factor: 3 }',
        [MAP],
        [(2, 6, 13, 16)],
        [],
        0,
    ),
    "interp crops first": (
        'type: "Interp" interp_param { zoom_factor: 2 pad_beg: -1 pad_end: -2 }',
        [MAP],
        [(2, 6, 11, 15)],
        [],
        0,
    ),
    "interp to a blob": (
        'type: "Interp" interp_param { use_blob_size: true height: 3 width: 3 }',
        [MAP, (1, 1, 4, 5)],
        [(2, 6, 4, 5)],
        [],
        0,
    ),
    "axpy": ('type: "Axpy"', [(2, 6), MAP, MAP], [MAP], [], 0),
    "softmax loss": (
        'type: "SoftmaxWithLoss" top: "loss" top: "prob"',
        [MAP, (2, 1, 9, 11)],
        [(), MAP],
        [],
        0,
    ),
    "accuracy": ('type: "Accuracy" top: "a" top: "b"', [(2, 6), (2,)], [(), (6,)], [], 0),
    "multinomial loss": ('type: "MultinomialLogisticLoss"', [(2, 6), (2,)], [()], [], 0),
    "infogain loss": ('type: "InfogainLoss"', [(2, 6), (2,), (1, 1, 6, 6)], [()], [], 0),
    "infogain loss of a file": (
        'type: "InfogainLoss" infogain_loss_param { source: "matrix" }',
        [(2, 6), (2,)],
        [()],
        [],
        0,
    ),
    "contrastive loss": ('type: "ContrastiveLoss"', [(2, 6), (2, 6), (2,)], [()], [], 0),
    "hinge loss": ('type: "HingeLoss"', [(2, 6), (2,)], [()], [], 0),
    "batch reindex": ('type: "BatchReindex"', [MAP, (5,)], [(5, 6, 9, 11)], [], 0),
    "filter": ('type: "Filter"', [MAP, (2, 3), (2, 1)], [MAP, (2, 3)], [], 0),
    "silence": ('type: "Silence"', [MAP, (2,)], [], [], 0),
    "smooth L1": ('type: "SmoothL1Loss"', [(3, 4), (3, 4), (3, 4)], [()], [], 0),
    # 38 x 38 cells x (1, sqrt, 2, 1/2) = 4 boxes x 4 coordinates
    "prior box": (PRIORS, [(1, 512, 38, 38), (1, 3, 300, 300)], [(1, 2, 38 * 38 * 4 * 4)], [], 0),
    "multibox loss": (MULTIBOX, [*PREDICTIONS, (1, 1, 5, 8)], [()], [], 0),
    "detection output": (DETECT, [*PREDICTIONS], [(1, 1, 1, 7)], [], 0),
    # 20 classes and 9 detections
    "detection evaluate": (EVALUATE, [(1, 1, 9, 7), (1, 1, 5, 8)], [(1, 1, 29, 5)], [], 0),
    "input": (
        'type: "Input" top: "a" top: "b" input_param { shape { dim: 1 dim: 3 } }',
        [],
        [(1, 3), (1, 3)],
        [],
        0,
    ),
    "annotated data": (
        (
            'type: "AnnotatedData" top: "data" top: "label" data_param { batch_size: 8 } '
            "transform_param { resize_param { height: 300 width: 200 } }"
        ),
        [],
        [(8, 3, 300, 200), (1, 1, 1, 8)],
        [],
        0,
    ),
    "data": (
        (
            'type: "Data" top: "data" top: "label" data_param { batch_size: 8 } '
            "transform_param { crop_size: 227 }"
        ),
        [],
        [(8, 3, 227, 227), (8,)],
        [],
        0,
    ),
    "image data": (
        (
            'type: "ImageData" top: "data" top: "label" image_data_param '
            "{ batch_size: 8 new_height: 9 new_width: 7 is_color: false } "
            "transform_param { crop_h: 5 crop_w: 6 }"
        ),
        [],
        [(8, 1, 5, 6), (8,)],
        [],
        0,
    ),
    "memory data": (
        (
            'type: "MemoryData" top: "a" top: "b" '
            "memory_data_param { batch_size: 4 channels: 3 height: 2 width: 1 }"
        ),
        [],
        [(4, 3, 2, 1), (4,)],
        [],
        0,
    ),
    "dummy data": (
        (
            'type: "DummyData" top: "a" top: "b" '
            "dummy_data_param { num: 4 num: 5 channels: 3 height: 2 width: 1 }"
        ),
        [],
        [(4, 3, 2, 1), (5, 3, 2, 1)],
        [],
        0,
    ),
    "parameter": ('type: "Parameter" parameter_param { shape { dim: 3 } }', [], [(3,)], [(3,)], 0),
}


@pytest.mark.parametrize(
    ("body", "bottoms", "tops", "params", "macs"),
    [pytest.param(*case, id=name) for name, case in CASES.items()],
)
def test_by_hand(
    body: str, bottoms: list[Shape], tops: list[Shape], params: list[Shape], macs: int
) -> None:
    assert_facts(body, bottoms, tops, params, macs)
