"""Short ways to write a layer in the tests of rules."""

from __future__ import annotations

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.rules import Facts, Shape, facts
from ssd_common.errors import LayerError

MAP = (2, 6, 9, 11)


def of(body: str, *bottoms: Shape, tops: int = 1) -> Facts:
    """Facts of a layer 'it' with bottoms b0, b1, ... and tops t0, t1, ..."""
    layer = text.parse(body, pb.LayerParameter)
    layer.name = "it"
    layer.bottom.extend(f"b{i}" for i in range(len(bottoms)))
    if not layer.top:
        layer.top.extend(f"t{i}" for i in range(tops))
    return facts(layer, bottoms)


def assert_facts(
    body: str, bottoms: list[Shape], tops: list[Shape], params: list[Shape], macs: int
) -> None:
    """Assert what follows from a layer over bottoms of these shapes."""
    found = of(body, *bottoms, tops=len(tops))
    assert found.tops == tops
    assert [param.shape for param in found.params] == params
    assert found.macs == macs


def assert_refused(body: str, bottoms: list[Shape], said: str) -> None:
    """Assert that a layer is refused in one line that names it and goes on with these words."""
    with pytest.raises(LayerError) as caught:
        of(body, *bottoms)
    message = str(caught.value)
    assert message.removeprefix("layer 'it'").removeprefix(", ").removeprefix(": ").startswith(said)
    assert message.startswith("layer 'it'")
    assert "\n" not in message


def conv(fields: str) -> str:
    return f'type: "Convolution" convolution_param {{ {fields} }}'


def pool(fields: str) -> str:
    return f'type: "Pooling" pooling_param {{ {fields} }}'


PRIORS = 'type: "PriorBox" prior_box_param { min_size: 30 max_size: 60 aspect_ratio: 2 flip: true }'
MULTIBOX = 'type: "MultiBoxLoss" multibox_loss_param { num_classes: 21 }'
DETECT = 'type: "DetectionOutput" detection_output_param { num_classes: 21 }'
EVALUATE = 'type: "DetectionEvaluate" detection_evaluate_param { num_classes: 21 }'
PREDICTIONS = ((2, 400), (2, 2100), (1, 2, 400))  # 100 priors, 21 classes
