"""Old forms of nets and solvers come out in today's form.

The expected text is what Caffe's util/upgrade_proto.cpp prescribes.
"""

from __future__ import annotations

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.upgrade import _V1_TYPES, upgrade_net, upgrade_solver
from caffe_ir.upgrade_v0 import _V0_TYPES
from ssd_common.errors import ParseError


def upgraded(source: str) -> pb.NetParameter:
    net = text.parse(source, pb.NetParameter)
    upgrade_net(net)
    return net


CASES = {
    "V1 layer": (
        """layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" blobs_lr: 1 blobs_lr: 2
             weight_decay: 1 weight_decay: 0
            include { phase: TRAIN } loss_weight: 0.5
            convolution_param { num_output: 4 kernel_size: 3 } blobs { data: 1 } }""",
        """layer { name: "c" type: "Convolution" bottom: "x" top: "c" loss_weight: 0.5
             param { lr_mult: 1 decay_mult: 1 }
            param { lr_mult: 2 decay_mult: 0 } blobs { data: 1 } include { phase: TRAIN }
            convolution_param { num_output: 4 kernel_size: 3 } }""",
    ),
    "V1 shared parameters": (
        """layers { name: "c" type: INNER_PRODUCT param: "w" param: "b"
             blob_share_mode: PERMISSIVE }""",
        """layer { name: "c" type: "InnerProduct" param { name: "w" share_mode: PERMISSIVE }
             param { name: "b" } }""",
    ),
    "V1 data fields": (
        """layers { name: "d" type: DATA data_param { source: "s" scale: 0.5 mean_file: "m"
             crop_size: 7 mirror: true batch_size: 2 } }
           layers { name: "i" type: IMAGE_DATA image_data_param { crop_size: 5 } }""",
        """layer { name: "d" type: "Data" data_param { source: "s" batch_size: 2 }
            transform_param { scale: 0.5 mean_file: "m" crop_size: 7 mirror: true } }
           layer { name: "i" type: "ImageData" image_data_param { }
             transform_param { crop_size: 5 } }""",
    ),
    "V0 layers": (
        """name: "v0" force_backward: true
           layers { layer { name: "d" type: "data" source: "s" meanfile: "m" scale: 0.5 batchsize: 8
             cropsize: 7 mirror: true rand_skip: 3 }
                    top: "data" top: "label" }
           layers { layer { name: "c" type: "conv" num_output: 4 biasterm: false kernelsize: 3
             group: 2 stride: 2 pad: 1
                            weight_filler { type: "xavier" } blobs_lr: 1 weight_decay: 2
                            blobs { data: 3 } } bottom: "data" top: "c" }
           layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 }
             bottom: "c" top: "p" }
           layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 2 beta: 0.5 k: 4 }
             bottom: "p" top: "n" }
           layers { layer { name: "f" type: "innerproduct" num_output: 9 bias_filler { value: 1 } }
             bottom: "n" top: "f" }
           layers { layer { name: "o" type: "dropout" dropout_ratio: 0.25 } bottom: "f" top: "f" }
           layers { layer { name: "k" type: "concat" concat_dim: 0 } bottom: "f" bottom: "n"
             top: "k" }""",
        """name: "v0" force_backward: true
           layer { name: "d" type: "Data" top: "data" top: "label"
             data_param { source: "s" batch_size: 8 rand_skip: 3 }
                   transform_param { mean_file: "m" scale: 0.5 crop_size: 7 mirror: true } }
           layer { name: "c" type: "Convolution" bottom: "data" top: "c"
             param { lr_mult: 1 decay_mult: 2 } blobs { data: 3 }
                   convolution_param { num_output: 4 bias_term: false kernel_size: 3 group: 2
                     stride: 2 pad: 1
                                       weight_filler { type: "xavier" } } }
           layer { name: "p" type: "Pooling" bottom: "c" top: "p"
             pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
           layer { name: "n" type: "LRN" bottom: "p" top: "n"
             lrn_param { local_size: 3 alpha: 2 beta: 0.5 k: 4 } }
           layer { name: "f" type: "InnerProduct" bottom: "n" top: "f"
             inner_product_param { num_output: 9 bias_filler { value: 1 } } }
           layer { name: "o" type: "Dropout" bottom: "f" top: "f"
             dropout_param { dropout_ratio: 0.25 } }
           layer { name: "k" type: "Concat" bottom: "f" bottom: "n" top: "k"
             concat_param { concat_dim: 0 } }""",
    ),
    "V0 sources": (
        """layers { layer { name: "i" type: "images" source: "s" batchsize: 2 new_height: 4
             new_width: 5 shuffle_images: true } top: "i" }
           layers { layer { name: "w" type: "window_data" source: "s" batchsize: 2 cropsize: 3
             det_fg_threshold: 0.75 det_bg_threshold: 0.25
                            det_fg_fraction: 0.5 det_context_pad: 1 det_crop_mode: "square" }
                            top: "w" }
           layers { layer { name: "h" type: "hdf5_output" hdf5_output_param { file_name: "f" } }
             bottom: "i" bottom: "w" }""",
        """layer { name: "i" type: "ImageData" top: "i"
                   image_data_param { source: "s" batch_size: 2 new_height: 4 new_width: 5
                     shuffle: true } }
           layer { name: "w" type: "WindowData" top: "w" transform_param { crop_size: 3 }
                   window_data_param { source: "s" batch_size: 2 fg_threshold: 0.75
                     bg_threshold: 0.25 fg_fraction: 0.5
                                       context_pad: 1 crop_mode: "square" } }
           layer { name: "h" type: "HDF5Output" bottom: "i" bottom: "w"
             hdf5_output_param { file_name: "f" } }""",
    ),
    "V0 fields that Caffe drops": (
        """name: "n" force_backward: true debug_info: true state { stage: "s" } input: "x"
           input_shape { dim: 1 }
           layers { layer { type: "relu" hdf5_output_param { file_name: "f" } } bottom: "x" top: "x"
             include { phase: TEST } }""",
        """name: "n" force_backward: true layer { type: "ReLU" bottom: "x" top: "x" }""",
    ),
    "V0 padding layer": (
        """input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
           layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "x" top: "padded" }
           layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 5 } bottom: "padded"
             top: "c" }""",
        """layer { name: "input" type: "Input" top: "x"
             input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
           layer { name: "c" type: "Convolution" bottom: "x" top: "c"
             convolution_param { num_output: 4 kernel_size: 5 pad: 2 } }""",
    ),
    "input_dim": (
        """input: "x" input: "y" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5
           input_dim: 6 input_dim: 7 input_dim: 8
           layer { name: "s" type: "Silence" bottom: "x" bottom: "y" }""",
        """layer { name: "input" type: "Input" top: "x" top: "y"
                   input_param { shape { dim: 1 dim: 2 dim: 3 dim: 4 }
                     shape { dim: 5 dim: 6 dim: 7 dim: 8 } } }
           layer { name: "s" type: "Silence" bottom: "x" bottom: "y" }""",
    ),
    "input_shape": (
        """input: "x" input_shape { dim: 1 dim: 2 }
           layer { name: "s" type: "Silence" bottom: "x" }""",
        """layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
           layer { name: "s" type: "Silence" bottom: "x" }""",
    ),
    "input alone, of an old caffemodel": (
        """input: "x" layer { name: "s" type: "ReLU" }""",
        """layer { name: "s" type: "ReLU" }""",
    ),
    "BatchNorm with three params": (
        """layer { name: "b" type: "BatchNorm" param { lr_mult: 0 } param { lr_mult: 0 }
             param { lr_mult: 0 } }
           layer { name: "c" type: "BatchNorm" param { lr_mult: 0 } }
           layer { name: "d" type: "Scale" param { } param { } param { } }""",
        """layer { name: "b" type: "BatchNorm" }
           layer { name: "c" type: "BatchNorm" param { lr_mult: 0 } }
           layer { name: "d" type: "Scale" param { } param { } param { } }""",
    ),
}


@pytest.mark.parametrize(
    ("old", "new"), [pytest.param(*case, id=name) for name, case in CASES.items()]
)
def test_old_forms(old: str, new: str) -> None:
    assert text.dumps(upgraded(old)) == text.dumps(text.parse(new, pb.NetParameter))


@pytest.mark.parametrize("case", CASES)
def test_upgrading_twice_changes_nothing(case: str) -> None:
    once = upgraded(CASES[case][0])
    twice = upgraded(text.dumps(once))
    assert twice == once


def test_every_old_type_has_a_name() -> None:
    assert set(_V1_TYPES) == set(pb.V1LayerParameter.LayerType.keys())
    assert set(_V0_TYPES.values()) <= set(pb.V1LayerParameter.LayerType.values())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('layer { name: "a" } layers { name: "b" }', "both 'layer' and 'layers'"),
        ('input: "x" input_dim: 1 input_dim: 3', "1 'input' need 4 'input_dim', found 2"),
        ('input: "x" input: "y" input_shape { dim: 1 }', "2 'input' but 1 'input_shape'"),
        (
            'layers { layer { name: "c" type: "conf" } }',
            r"layer 'c': unknown layer type 'conf' \(did you mean 'conv'\?\)",
        ),
        (
            'input: "xs" layers { layer { name: "c" type: "conv" } bottom: "x" }',
            "layer 'c': unknown bottom 'x'",
        ),
        (
            (
                'input: "x" layers { layer { type: "padding" } bottom: "x" top: "p" } '
                'layers { layer { name: "r" type: "relu" } bottom: "p" }'
            ),
            "layer 'r': only a conv or pool layer",
        ),
    ],
)
def test_nets_without_a_form_of_today(source: str, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        upgraded(source)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SGD", "SGD"),
        ("NESTEROV", "Nesterov"),
        ("ADAGRAD", "AdaGrad"),
        ("RMSPROP", "RMSProp"),
        ("ADADELTA", "AdaDelta"),
        ("ADAM", "Adam"),
    ],
)
def test_solver_type(old: str, new: str) -> None:
    solver = text.parse(f"solver_type: {old}", pb.SolverParameter)
    upgrade_solver(solver)
    assert solver == pb.SolverParameter(type=new)


def test_solver_with_a_net_inside() -> None:
    solver = text.parse(
        'net_param { layers { name: "r" type: RELU } } test_net_param { layers { type: TANH } }',
        pb.SolverParameter,
    )
    upgrade_solver(solver)
    assert [solver.net_param.layer[0].type, solver.test_net_param[0].layer[0].type] == [
        "ReLU",
        "TanH",
    ]


def test_solver_with_two_types() -> None:
    with pytest.raises(ParseError, match="both 'type' and the old 'solver_type'"):
        upgrade_solver(pb.SolverParameter(type="SGD", solver_type=pb.SolverParameter.ADAM))
