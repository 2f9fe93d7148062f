"""What the rules refuse, as Caffe's SetUp and Reshape do: one line that names layer and field."""

from __future__ import annotations

from itertools import product

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.rules import Shape, facts, layer_types
from ssd_common.errors import LayerError, ParseError
from tests.caffe_ir.support import MAP, assert_refused, conv, pool

REFUSED = {
    "unknown type": (
        'type: "Convolutoin"',
        [MAP],
        "type: unknown layer type 'Convolutoin' (did you mean 'Convolution'?)",
    ),
    "no num_output": (conv("kernel_size: 3"), [MAP], "num_output: must be specified and positive"),
    "inner product without num_output": (
        'type: "InnerProduct"',
        [MAP],
        "num_output: must be specified and positive",
    ),
    "no kernel": (conv("num_output: 3"), [MAP], "kernel_size: must be specified"),
    "three kernels": (
        conv("num_output: 3 kernel_size: [1, 2, 3]"),
        [MAP],
        "kernel_size: must be written once or once per spatial axis (2)",
    ),
    "two forms of kernel": (
        conv("num_output: 3 kernel_size: 1 kernel_h: 1 kernel_w: 1"),
        [MAP],
        "kernel_size: is written beside kernel_h",
    ),
    "half a kernel": (conv("num_output: 3 kernel_h: 1"), [MAP], "kernel_size: must be positive"),
    "no stride": (
        conv("num_output: 3 kernel_size: 1 stride: 0"),
        [MAP],
        "stride: must be positive",
    ),
    "group": (
        conv("num_output: 3 kernel_size: 1 group: 4"),
        [MAP],
        "group: 4 does not divide the 6 channels",
    ),
    "group of outputs": (
        conv("num_output: 3 kernel_size: 1 group: 2"),
        [MAP],
        "group: 2 does not divide num_output 3",
    ),
    "kernel too large": (
        conv("num_output: 3 kernel_size: 13 pad: 1"),
        [MAP],
        "kernel_size: 13 is larger than the padded bottom, 9 + 2 x 1",
    ),
    "kernel too large for its stride": (
        conv("num_output: 3 kernel_size: 13 stride: 2 pad: 1"),
        [(1, 6, 9, 9)],
        "kernel_size: 13 is larger than",
    ),
    "filler": (
        conv('num_output: 3 kernel_size: 1 weight_filler { type: "xaver" }'),
        [MAP],
        "weight_filler.type: unknown filler 'xaver' (did you mean 'xavier'?)",
    ),
    "bilinear filler": (
        conv('num_output: 3 kernel_size: [1, 2] weight_filler { type: "bilinear" }'),
        [MAP],
        "weight_filler: a bilinear filler takes square",
    ),
    "conv without bottom": (
        conv("num_output: 3 kernel_size: 1"),
        [],
        "bottom: Convolution takes at least 1 bottom, found 0",
    ),
    "conv axis": (
        conv("num_output: 3 kernel_size: 1 axis: 4"),
        [MAP],
        "axis: axis 4 is out of range for a bottom of shape 2x6x9x11",
    ),
    "pool without kernel": (
        pool("stride: 2"),
        [MAP],
        "kernel_size: give either kernel_size or both",
    ),
    "pool with two kernels": (
        pool("kernel_size: 2 kernel_h: 2 kernel_w: 2"),
        [MAP],
        "kernel_size: give either kernel_size or both",
    ),
    "pool with half a stride": (
        pool("kernel_size: 2 stride_h: 2"),
        [MAP],
        "stride: give either stride or both",
    ),
    "pool pad": (pool("kernel_size: 2 pad: 2"), [MAP], "pad: must be smaller than the kernel"),
    "pool of three axes": (
        pool("kernel_size: 2"),
        [(2, 3, 4)],
        "bottom: takes a bottom of 4 axes (N x C x H x W), found 2x3x4",
    ),
    "pool of nothing": (
        pool("kernel_size: 10"),
        [(1, 1, 9, 11)],
        "kernel_size: 10x10 is too large for a bottom of 9x11",
    ),
    "pool too large": (
        pool("kernel_size: 20 stride: 2"),
        [MAP],
        "kernel_size: 20x20 is too large for a bottom of 9x11",
    ),
    "global pool with kernel": (
        pool("global_pooling: true kernel_size: 2"),
        [MAP],
        "kernel_size: cannot be given with global_pooling",
    ),
    "global pool with stride": (
        pool("global_pooling: true stride: 2"),
        [MAP],
        "global_pooling: takes only stride 1",
    ),
    "dropout": (
        'type: "Dropout" dropout_param { dropout_ratio: 1 }',
        [MAP],
        "dropout_ratio: must lie between 0 and 1",
    ),
    "log base": (
        'type: "Log" log_param { base: 0 }',
        [MAP],
        "base: must be positive, or -1 for e, found 0",
    ),
    "learned statistics": (
        'type: "BatchNorm" param { lr_mult: 1 }',
        [MAP],
        "param.lr_mult: must be 0",
    ),
    "scale span": (
        'type: "Scale" scale_param { axis: 3 num_axes: 2 }',
        [MAP],
        "num_axes: 2 from axis 3 extend past",
    ),
    "scale blob": (
        'type: "Scale"',
        [MAP, (2, 6)],
        "axis: bottom 'b1' 2x6 does not fit axes 1... of 2x6x9x11",
    ),
    "even LRN": (
        'type: "LRN" lrn_param { local_size: 4 }',
        [MAP],
        "local_size: must be odd, found 4",
    ),
    "eltwise shapes": (
        'type: "Eltwise"',
        [MAP, (2, 6, 9, 10)],
        "bottom: bottoms must have the same shape: 'b0' 2x6x9x11, 'b1' 2x6x9x10",
    ),
    "eltwise coefficients": (
        'type: "Eltwise" eltwise_param { coeff: 1 }',
        [MAP, MAP],
        "coeff: must be given for each of the 2 bottoms or none, found 1",
    ),
    "eltwise product": (
        'type: "Eltwise" eltwise_param { operation: PROD coeff: [1, 2] }',
        [MAP, MAP],
        "coeff: has no meaning for PROD",
    ),
    "eltwise of one": (
        'type: "Eltwise"',
        [MAP],
        "bottom: Eltwise takes at least 2 bottoms, found 1",
    ),
    "concat shapes": (
        'type: "Concat"',
        [MAP, (2, 6, 9, 10)],
        "bottom: bottoms may differ only along axis 1",
    ),
    "concat axes": (
        'type: "Concat"',
        [MAP, (2, 6)],
        "bottom: bottoms may differ only along axis 1",
    ),
    "concat axis twice": (
        'type: "Concat" concat_param { axis: 1 concat_dim: 1 }',
        [MAP],
        "concat_dim: give either axis or concat_dim",
    ),
    "slice points": (
        'type: "Slice" slice_param { slice_point: 1 }',
        [MAP],
        "slice_point: must be given 0 times for 1 tops, found 1",
    ),
    "slice beyond": (
        'type: "Slice" slice_param { slice_point: 6 } top: "a" top: "b"',
        [MAP],
        "slice_point: 6 must rise between 0 and 6",
    ),
    "slice unevenly": (
        'type: "Slice" top: "a" top: "b" top: "c" top: "d"',
        [MAP],
        "top: 4 tops do not divide the size 6 of axis 1",
    ),
    "reshape count": (
        'type: "Reshape" reshape_param { shape { dim: 0 dim: 5 } }',
        [MAP],
        "shape.dim: 2x5 holds 10 values, the bottom 2x6x9x11 1188",
    ),
    "reshape two -1": (
        'type: "Reshape" reshape_param { shape { dim: [-1, -1] } }',
        [MAP],
        "shape.dim: may hold -1 only once",
    ),
    "reshape indivisible": (
        'type: "Reshape" reshape_param { shape { dim: [-1, 7] } }',
        [MAP],
        "shape.dim: the other sizes (7) do not divide",
    ),
    "reshape 0 beyond": (
        'type: "Reshape" reshape_param { shape { dim: [2, 6, 9, 11, 0] } }',
        [MAP],
        "shape.dim: 0 at place 4 has no axis",
    ),
    "flatten in place": ('type: "Flatten" top: "b0"', [MAP], "top: Flatten cannot work in place"),
    "eltwise in place": (
        'type: "Eltwise" top: "b0"',
        [MAP, MAP],
        "top: Eltwise cannot work in place",
    ),
    "log of base 1": ('type: "Log" log_param { base: 1 }', [MAP], "base: must not be 1"),
    "im2col axis": (
        'type: "Im2col" convolution_param { kernel_size: 1 axis: 3 }',
        [MAP],
        "axis: leaves no spatial axes",
    ),
    "spp without height": ('type: "SPP"', [MAP], "pyramid_height: must be specified"),
    # 5 = 4 bins of 2 less 3 pixels, which Caffe pads as 2 on each side
    "spp pad": (
        'type: "SPP" spp_param { pyramid_height: 3 }',
        [(1, 2, 5, 8)],
        "pyramid_height: a bottom of 5x8 cannot be pooled into 4x4 bins",
    ),
    "spp stochastic": (
        'type: "SPP" spp_param { pyramid_height: 2 pool: STOCHASTIC }',
        [(1, 2, 5, 8)],
        "pool: STOCHASTIC cannot pad, which 2x2 bins",
    ),
    "lstm": ('type: "LSTM"', [(4, 3, 2), (4, 3)], "num_output: must be specified and positive"),
    "lstm cont": (
        'type: "LSTM" recurrent_param { num_output: 5 }',
        [(4, 3, 2), (3, 4)],
        "bottom: 'b1' must be 4x3, found 3x4",
    ),
    "rnn of vectors": (
        'type: "RNN" recurrent_param { num_output: 5 }',
        [(4, 3), (4, 3)],
        "bottom: 'b0' must be T x N x ..., found 4x3",
    ),
    "rnn static": (
        'type: "RNN" recurrent_param { num_output: 5 }',
        [(4, 3, 2), (4, 3), (4, 7)],
        "bottom: the static input 'b2' must be 3 x ..., found 4x7",
    ),
    "rnn state": (
        'type: "RNN" recurrent_param { num_output: 5 expose_hidden: true } top: "a" top: "b"',
        [(4, 3, 2), (4, 3), (3, 5)],
        "bottom: the first state 'b2' must be 1x3x5, found 3x5",
    ),
    "lstm unit": (
        'type: "LSTMUnit" top: "a" top: "b"',
        [(1, 3, 4), (1, 3, 12), (1, 3)],
        "bottom: 'b1' must be 1x3x16, found 1x3x12",
    ),
    "permute axis": (
        'type: "Permute" permute_param { order: 4 }',
        [MAP],
        "order: names an axis that a bottom of 2x6x9x11 lacks",
    ),
    "permute twice": (
        'type: "Permute" permute_param { order: [1, 1] }',
        [MAP],
        "order: names an axis twice",
    ),
    "tile": ('type: "Tile"', [MAP], "tiles: must be specified and positive"),
    "argmax": (
        'type: "ArgMax" argmax_param { top_k: 7 axis: 1 }',
        [MAP],
        "top_k: must lie between 1 and 6, found 7",
    ),
    "crop beyond": (
        'type: "Crop" crop_param { offset: 3 }',
        [MAP, (2, 6, 9, 9)],
        "offset: 3 + 9 goes past the 9 of axis 2",
    ),
    "crop offsets": (
        'type: "Crop" crop_param { offset: [1, 1, 1] }',
        [MAP, MAP],
        "offset: must be given once or for each of 2 axes, found 3",
    ),
    "interp without size": (
        'type: "Interp" interp_param { height: 3 }',
        [MAP],
        "interp_param: needs height and width",
    ),
    "interp pads": (
        'type: "Interp" interp_param { pad_beg: 1 zoom_factor: 2 }',
        [MAP],
        "pad_beg: must be 0 or negative",
    ),
    "interp without blob": (
        'type: "Interp" interp_param { use_blob_size: true }',
        [MAP],
        "use_blob_size: needs a second bottom",
    ),
    "axpy": ('type: "Axpy"', [(2, 5), MAP, MAP], "bottom: 'b0' must be 2x6, found 2x5"),
}


@pytest.mark.parametrize(
    ("body", "bottoms", "said"), [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
def test_what_caffe_refuses(body: str, bottoms: list[Shape], said: str) -> None:
    assert_refused(body, bottoms, said)


@pytest.mark.parametrize("type_", layer_types())
def test_any_bottoms_give_facts_or_a_layer_error(type_: str) -> None:
    shapes: list[Shape] = [(), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6), (0, 3)]
    made, refused = 0, []
    for count, tops in product(range(5), range(3)):
        for bottoms in product(shapes, repeat=min(count, 3)):
            padded = [*bottoms, *bottoms[:1] * (count - len(bottoms))]
            layer = pb.LayerParameter(
                name="it",
                type=type_,
                bottom=[f"b{i}" for i in range(count)],
                top=[f"t{i}" for i in range(tops)],
            )
            try:
                found = facts(layer, padded)
            except LayerError as error:
                refused.append(error)
            else:
                made += 1
                assert len(found.tops) >= tops
    assert refused
    assert all(error.layer == "it" for error in refused)
    assert made or type_ in NEED_FIELDS or type_ == "LSTMUnit"  # whose bottoms are of other shapes


# Types that cannot do anything until a field is written.
NEED_FIELDS = {
    "AnnotatedData",
    "Convolution",
    "ConvolutionDepthwise",
    "Data",
    "Deconvolution",
    "DepthwiseConvolution",
    "DetectionEvaluate",
    "DetectionOutput",
    "DummyData",
    "Embed",
    "HDF5Data",
    "Im2col",
    "ImageData",
    "InnerProduct",
    "Input",
    "Interp",
    "LSTM",
    "MemoryData",
    "MultiBoxLoss",
    "Pooling",
    "PriorBox",
    "RNN",
    "SPP",
    "Tile",
    "VideoData",
    "WindowData",
}


def test_types_of_other_builds_are_refused_with_a_word_on_who_has_them() -> None:
    layer = pb.LayerParameter(name="it", type="ROIPooling")
    with pytest.raises(LayerError, match="caffe-fast-rcnn, the Caffe of py-faster-rcnn, has it"):
        facts(layer, [])
    with pytest.raises(ParseError, match=r"'psroi_pooling_param' .*caffe-rfcn"):
        text.parse("layer { psroi_pooling_param { group_size: 7 } }", pb.NetParameter)
