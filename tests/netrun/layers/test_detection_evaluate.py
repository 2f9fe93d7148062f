"""DetectionEvaluate against the fork's golden cases, and its rules by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssd_common.errors import LayerError, ParseError
from tests.netrun.layers.detection_support import make_layer, run_golden
from tests.support import golden


@pytest.mark.parametrize("path", golden("detection/evaluate_*.npz"))
def test_golden(path):
    top, wanted, _ = run_golden(path)
    np.testing.assert_array_equal(top, wanted)


def evaluator(options: str = ""):
    layer = make_layer(
        f'layer {{ name: "e" type: "DetectionEvaluate" '
        f"detection_evaluate_param {{ num_classes: 3 {options} }} }}"
    )

    def evaluate(found: list[list[float]], truth: list[list[float]]) -> list[list[float]]:
        return layer.forward([torch.tensor(found)[None, None], torch.tensor(truth)[None, None]])[0][
            0, 0
        ].tolist()

    return evaluate


OBJECT = [0, 1, 0, 0.2, 0.2, 0.6, 0.6, 0]


def test_second_detection_of_an_object_is_false_and_order_is_by_score():
    rows = evaluator()(
        [
            [0, 1, 0.5, 0.2, 0.2, 0.6, 0.6],
            [0, 1, 0.75, 0.2, 0.2, 0.6, 0.5],
            [0, 2, 0.25, 0.2, 0.2, 0.6, 0.6],
        ],
        [OBJECT],
    )
    # The detection of score .75 comes first, IoU .4 * .3 / (.4 * .4) = .75: it takes the object
    # from the exact one.
    assert rows == [
        [-1, 1, 1, -1, -1],
        [-1, 2, 0, -1, -1],
        [0, 1, 0.75, 1, 0],
        [0, 1, 0.5, 0, 1],
        [0, 2, 0.25, 0, 1],
    ]


def test_difficult_objects():
    found = [[0, 1, 0.5, 0.2, 0.2, 0.6, 0.6]]
    difficult = [[*OBJECT[:7], 1]]
    assert evaluator("evaluate_difficult_gt: false")(found, difficult)[0::2] == [
        [-1, 1, 0, -1, -1],
        [0, 1, 0.5, 0, 0],
    ]
    assert evaluator("evaluate_difficult_gt: true")(found, difficult)[0::2] == [
        [-1, 1, 1, -1, -1],
        [0, 1, 0.5, 1, 0],
    ]


def test_without_a_background_every_class_has_its_row():
    rows = evaluator("background_label_id: 4294967295")(
        [[0, 0, 0.5, 0.2, 0.2, 0.6, 0.6]], [[0, 0, *OBJECT[2:]]]
    )
    assert rows == [[-1, 0, 1, -1, -1], [-1, 1, 0, -1, -1], [-1, 2, 0, -1, -1], [0, 0, 0.5, 1, 0]]


def test_nothing_found_and_no_truth():
    nothing, no_truth = [[0] + [-1.0] * 6], [[-1.0] * 8]
    assert evaluator()(nothing, no_truth) == [[-1, 1, 0, -1, -1], [-1, 2, 0, -1, -1]]
    assert evaluator()([[0, 2, 0.5, 0, 0, 1, 1]], no_truth)[2:] == [[0, 2, 0.5, 0, 1]]


def test_sizes_compare_pixels_image_by_image(tmp_path):
    (tmp_path / "sizes.txt").write_text("a 10 10\nb 1000 1000\n")
    evaluate = evaluator(f'name_size_file: "{tmp_path}/sizes.txt" overlap_threshold: 0.55')
    found = [[0, 1, 0.5, 0.0, 0.0, 0.5, 1.0]]
    truth = [[0, 1, 0, 0.0, 0.0, 1.0, 1.0, 0]]
    # Normalised the IoU is .5. In 10 x 10 both edges count: (5 + 1) * 11 / (11 * 11) = .545; in
    # 1000 x 1000 501 / 1001 = .5005.
    assert evaluate(found, truth)[2][3:] == [0, 1]
    evaluate = evaluator(f'name_size_file: "{tmp_path}/sizes.txt" overlap_threshold: 0.54')
    assert [evaluate(found, truth)[2][3] for _ in range(4)] == [1, 0, 1, 0]  # a, b, a, b


def test_an_image_without_a_detection_gives_the_next_one_its_size(tmp_path, caplog):
    """As in the fork, which counts only images with rows."""
    (tmp_path / "sizes.txt").write_text("a 10 10\nb 1000 1000\n")
    options = f'name_size_file: "{tmp_path}/sizes.txt" overlap_threshold: 0.55'
    evaluate = evaluator(options)
    found = [1, 1, 0.5, 0.2, 0.2, 0.6, 0.4]
    truth = [OBJECT, [1, *OBJECT[1:]]]
    rows = evaluate([found], truth)
    # IoU in 10 x 10 pixels: 5 * 3 / (5 * 5) = 0.6; in 1000 x 1000 it is 0.5.
    assert rows[2:] == [[1, 1, 0.5, 1, 0]]
    assert caplog.text.count("layer 'e': image 0 of a batch has no detection: from it on") == 1
    evaluate([found], truth)
    assert caplog.text.count("has no detection") == 1
    caplog.clear()
    evaluator(options)([[0, *found[1:]], found], truth)
    evaluator()([found], truth)  # boxes in [0, 1] need no sizes
    assert not caplog.text


def test_boxes_are_moved_out_of_the_padding(tmp_path):
    (tmp_path / "sizes.txt").write_text("wide 500 1000\n")
    evaluate = evaluator(
        f'name_size_file: "{tmp_path}/sizes.txt" overlap_threshold: 0.6 '
        "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 300 width: 300 }"
    )
    # 1000 x 500 fills the middle half of the square, y from .25 to .75. The detection reaches up
    # into the padding, which is cut off: (0, 0, 1, .5) -> y from -.5 cut to 0, to .5, exactly the
    # object (0, .25, 1, .5). In the square the IoU would be .5.
    assert evaluate([[0, 1, 0.5, 0, 0, 1, 0.5]], [[0, 1, 0, 0, 0.25, 1, 0.5, 0]])[2][3:] == [1, 0]


def test_refusals(tmp_path):
    with pytest.raises(LayerError, match="background label 0 in the ground truth"):
        evaluator()([[0, 1, 0.5, 0, 0, 1, 1]], [[0.0] * 8])
    with pytest.raises(LayerError, match="background label 0 in the detections"):
        evaluator()([[0, 0, 0.5, 0, 0, 1, 1]], [OBJECT])
    with pytest.raises(LayerError, match="overlap_threshold: must be positive"):
        evaluator("overlap_threshold: 0")
    with pytest.raises(ParseError, match=r"none\.txt: No such file"):
        evaluator(f'name_size_file: "{tmp_path}/none.txt"')
