"""MultiBoxLoss against the golden cases of both forks, matching and mining by hand, and its
refusals.
"""

from __future__ import annotations

import math

import pytest
import torch

from caffe_ir import caffe_ir_pb2 as pb
from netrun.detection.boxes import iou
from netrun.detection.hard_examples import Thinning, hard_examples, max_negative
from netrun.detection.matching import IGNORED, UNMATCHED, ground_truth, match
from ssd_common.errors import LayerError
from tests.netrun.layers.detection_support import close, make_layer, run_golden
from tests.support import golden


@pytest.mark.parametrize(
    "path", golden("detection/multibox_*.npz") + golden("fssd/multibox_focal_*.npz")
)
def test_golden(path):
    top, wanted, gradients = run_golden(path)
    assert close(top, wanted)
    assert all(close(got, gradient) for got, gradient in gradients)


def boxes(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows)


UNIT = (0.0, 0.0, 1.0, 1.0)


def test_objects_take_candidates_greatest_overlap_first():
    # Strips of one height, so IoU is one of lengths. Object 0 is [0, .4]: IoU with candidate 0, [0,
    # .4], 1 and candidate 1, [0, .5], .8. Object 1 is [0, .45]: with candidate 0 .4 / .45 = .889,
    # candidate 1 .45 / .5 = .9. Greatest first: (0, 0) at 1, then (1, 1).
    candidates = boxes((0, 0, 0.4, 1), (0, 0, 0.5, 1), (0.3, 0, 1, 1))
    objects = boxes((0, 0, 0.4, 1), (0, 0, 0.45, 1))
    index, best = match(candidates[None], objects[None], per_prediction=False, threshold=0.5)
    assert index.tolist() == [[0, 1, UNMATCHED]]
    torch.testing.assert_close(best, torch.tensor([[1.0, 0.9, 0.15]]))  # [.3, .45] of [0, 1]


def test_an_object_whose_best_candidate_is_taken_gets_its_next():
    # Both objects like candidate 0 best: object 0 by 1, object 1, [0, .5], by .4 / .5 = .8;
    # candidate 1, [.4, 1], it meets by .1 / 1.
    candidates = boxes((0, 0, 0.4, 1), (0.4, 0, 1, 1))
    objects = boxes((0, 0, 0.4, 1), (0, 0, 0.5, 1))
    index, _ = match(candidates[None], objects[None], per_prediction=True, threshold=0.5)
    assert index.tolist() == [[0, 1]]


def test_ties_go_to_the_earlier_candidate_then_the_earlier_object():
    candidates, objects = boxes(UNIT, UNIT, UNIT), boxes(UNIT, UNIT)
    index, _ = match(candidates[None], objects[None], per_prediction=False, threshold=0.5)
    assert index.tolist() == [[0, 1, UNMATCHED]]
    index, _ = match(candidates[None], objects[None], per_prediction=True, threshold=0.5)
    assert index.tolist() == [[0, 1, 0]]


def test_images_of_one_batch_do_not_meet_and_padding_matches_nothing():
    candidates = boxes((0, 0, 0.5, 1), (0.5, 0, 1, 1))[None]
    objects = torch.tensor(
        [
            [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)],
            [(0.5, 0.0, 1.0, 1.0), (0.0,) * 4],
            [(0.0,) * 4] * 2,
        ]
    )
    index, _ = match(candidates, objects, per_prediction=True, threshold=0.0)
    assert index.tolist() == [[0, 1], [UNMATCHED, 0], [UNMATCHED, UNMATCHED]]


def test_candidates_over_the_border_are_ignored():
    candidates = boxes((-0.1, 0, 0.5, 1), (0, 0, 0.5, 1))[None]
    index, best = match(
        candidates,
        boxes((0, 0, 0.5, 1))[None],
        per_prediction=True,
        threshold=0.5,
        ignore_cross_boundary=True,
    )
    assert index.tolist() == [[IGNORED, 0]]
    assert best.tolist() == [[0, 1]]


def reference_match(overlaps: torch.Tensor, threshold: float) -> list[int]:
    """The greedy assignment written plainly: candidates outer, objects inner, only a greater
    overlap replaces the best so far.
    """
    objects, count = overlaps.shape
    index, pool = [UNMATCHED] * count, list(range(objects))
    while pool:
        pairs = [
            (overlaps[g, p].item(), p, g)
            for p in range(count)
            if index[p] == UNMATCHED
            for g in pool
            if overlaps[g, p] > 1e-6
        ]
        if not pairs:
            break
        top = max(value for value, _, _ in pairs)
        _, p, g = next(pair for pair in pairs if pair[0] == top)
        index[p] = g
        pool.remove(g)
    for p in range(count):
        if index[p] == UNMATCHED and overlaps[:, p].max() >= threshold:
            index[p] = int(overlaps[:, p].tolist().index(overlaps[:, p].max().item()))
    return index


@pytest.mark.parametrize("seed", range(6))
def test_matching_agrees_with_the_plain_greedy_loop_on_a_coarse_grid_full_of_ties(seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 4, (40, 2), generator=generator) / 8
    grid = torch.cat([corner, corner + torch.randint(1, 5, (40, 2), generator=generator) / 8], 1)
    candidates, objects = grid[:30], grid[30:]
    index, _ = match(candidates[None], objects[None], per_prediction=True, threshold=0.5)
    assert index[0].tolist() == reference_match(iou(objects, candidates), 0.5)


def test_ground_truth_is_sorted_into_images():
    rows = torch.tensor(
        [[1, 3, 0, 0, 0, 1, 1, 0], [0, 2, 0, 0, 0, 0.5, 1, 1], [-1] * 8, [1, 4, 1, 0, 0, 0.2, 1, 0]]
    )[None, None]
    truth = ground_truth(rows, 3, torch.device("cpu"), classes=5)
    assert truth.labels.tolist() == [[2, 0], [3, 4], [0, 0]]
    assert truth.boxes[1].tolist() == boxes(UNIT, (0, 0, 0.2, 1)).tolist()
    assert truth.present.tolist() == [True, True, False]
    assert ground_truth(
        rows, 3, torch.device("cpu"), classes=5, difficult=False
    ).present.tolist() == [False, True, False]


def test_max_negative_takes_three_for_one_by_loss_and_ties_in_order():
    index = torch.tensor([[0, -1, -1, -1, -1, -1, -2]])
    overlap = torch.tensor([[0.9, 0.1, 0.1, 0.6, 0.1, 0.1, 0.0]])
    loss = torch.tensor([[9.0, 1.0, 2.0, 8.0, 1.0, 1.0, 9.0]])
    # One match allows int(1 * 2.9) = 2. Candidate 3 overlaps too much and 6 is ignored: 2 (loss 2),
    # then the earliest of loss 1.
    assert max_negative(index, overlap, loss, 2.9, 0.5).nonzero()[:, 1].tolist() == [1, 2]
    assert not max_negative(torch.full((1, 7), -1), overlap, loss, 3, 0.5).any()
    # Thinned by boxes of which 1, 2, 4 and 5 are one and the same, 2 stands for all.
    same = Thinning(boxes(*[UNIT] * 7)[None], 0.7)
    assert max_negative(index, overlap, loss, 2.9, 0.5, thinning=same).nonzero()[:, 1].tolist() == [
        2
    ]


def test_hard_examples_thins_by_nms_and_skips_images_without_objects():
    loss = torch.tensor([[3.0, 4.0, 2.0, 5.0], [3.0, 4.0, 2.0, 5.0]])
    present = torch.tensor([True, False])
    assert hard_examples(loss, present, 2).tolist() == [[False, True, False, True], [False] * 4]
    # Loss 5 has no area and is no example; loss 4 beats its double of loss 3; loss 2 lies apart.
    places = boxes((0, 0, 0.5, 1), (0, 0, 0.5, 1), (0.5, 0, 1, 1), (0.2, 0, 0.2, 1))
    assert hard_examples(loss, present, 2, Thinning(places[None], 0.7))[0].tolist() == [
        False,
        True,
        True,
        False,
    ]


LAYER = (
    'layer {{ name: "loss" type: "MultiBoxLoss" bottom: "loc" bottom: "conf" '
    'bottom: "prior" bottom: "gt" top: "loss" '
    "multibox_loss_param {{ {} }} {} }}"
)


def inputs(label: float = 1, classes: int = 2) -> list[torch.Tensor]:
    prior = torch.tensor([[*UNIT, 0, 0, 0.5, 1], [0.1] * 8])[None]
    return [
        torch.zeros(1, 8),
        torch.zeros(1, 2 * classes),
        prior,
        torch.tensor([[[[0, label, 0, *UNIT, 0]]]]),
    ]


def test_loss_by_hand():
    layer = make_layer(
        LAYER.format("num_classes: 2 code_type: CORNER neg_overlap: 0.6", ""), pb.TRAIN
    )
    # The object is prior 0 itself (IoU 1): code 0, localisation loss 0. Prior 1 has IoU .5 >= .5
    # and matches too: its xmax is off by .5 / .1 = 5, smooth L1 4.5. Both confidences are even: 2
    # ln 2. Two matches: (4.5 + 2 ln 2) / 2.
    [top] = layer.forward(inputs())
    assert top.shape == ()
    assert top.item() == pytest.approx((4.5 + 2 * math.log(2)) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "expected", "learning"),
    [
        # Priors 0 and 2 have the greatest losses. Prior 0 takes its place among the two, but
        # teaches nothing; prior 1, the match, is not among them: no match divides by 1.
        ("sample_size: 2 ignore_cross_boundary_bbox: true", math.log(1 + math.e), [2]),
        # Now prior 1 is, too, and learns: one match.
        (
            "sample_size: 3 ignore_cross_boundary_bbox: true",
            math.log(1 + math.e) + math.log(2),
            [1, 2],
        ),
        # Where the border does not count, prior 0 is background.
        ("sample_size: 2", math.log(1 + math.e**3) + math.log(1 + math.e), [0, 2]),
    ],
)
def test_hard_examples_over_the_border_take_a_place_and_teach_nothing(options, expected, learning):
    # Source: IsEligibleMining and MineHardExamples in util/bbox_util.cpp of weiliu89/caffe: every
    # prior is eligible, match -2 becomes neither a match nor a negative.
    layer = make_layer(
        LAYER.format(f"num_classes: 2 code_type: CORNER mining_type: HARD_EXAMPLE {options}", ""),
        pb.TRAIN,
    )
    # IoU with the object, the whole image: .5 / 1.1 (reaches over the left border), 1, .25.
    priors = [-0.1, 0, 0.5, 1, *UNIT, 0, 0, 0.25, 1]
    # Losses: background's ln(1 + e^3) = 3.05, the object's ln 2 = .69, background's ln(1 + e).
    conf = torch.tensor([[0.0, 3, 0, 0, 0, 1]], requires_grad=True)
    prior = torch.tensor([priors, [0.1] * 12])[None]
    loss = layer.forward([torch.zeros(1, 12), conf, prior, inputs()[3]])[0]
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert conf.grad is not None
    assert conf.grad.view(3, 2).any(1).nonzero()[:, 0].tolist() == learning


def test_propagate_down_leaves_terms_out():
    only_conf = LAYER.format(
        "num_classes: 2 code_type: CORNER", "propagate_down: [false, true, false, false]"
    )
    assert make_layer(only_conf, pb.TRAIN).forward(inputs())[0].item() == pytest.approx(
        math.log(2), rel=1e-6
    )


def test_agnostic_maps_every_label_to_object():
    layer = make_layer(
        LAYER.format("num_classes: 2 code_type: CORNER map_object_to_agnostic: true", ""), pb.TRAIN
    )
    assert layer.forward(inputs())[0].item() == pytest.approx((4.5 + 2 * math.log(2)) / 2, rel=1e-6)


def test_logistic_without_mining_lays_ones_out_as_the_fork_does():
    layer = make_layer(
        LAYER.format("num_classes: 2 conf_loss_type: LOGISTIC mining_type: NONE", ""), pb.TRAIN
    )
    index = torch.tensor([[[0, -1]], [[-1, 0]]])
    label = torch.tensor([[1, 0], [0, 1]])
    # Image 0, prior 0: place 0 * 2 + 0 * 2 + 1 = 1. Image 1, prior 1: 1 * 2 + 1 * 2 + 1 = 5, which
    # is image 1's prior 0, class 1.
    assert layer._logistic_targets(index, label, None).flatten().tolist() == [
        0,
        1,
        0,
        0,
        0,
        1,
        0,
        0,
    ]  # type: ignore[attr-defined]


def test_per_class_locations_match_objects_of_their_class_only():
    layer = make_layer(
        LAYER.format(
            (
                "num_classes: 3 code_type: CORNER share_location: false mining_type: NONE "
                "use_prior_for_matching: false"
            ),
            "",
        ),
        pb.TRAIN,
    )
    _, conf, prior, gt = inputs(label=2, classes=3)
    loc = torch.zeros(1, 2, 3, 4, requires_grad=True)
    layer.forward([loc.view(1, -1), conf, prior, gt])[0].backward()
    assert loc.grad is not None
    # Only class 2 and only prior 1 are off, in xmax, by more than 1: gradient -1 over two matches.
    assert loc.grad[0, 1, 2].tolist() == [0, 0, -0.5, 0]
    assert loc.grad.abs().sum() == 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "num_classes: must say"),
        (
            "num_classes: 2 background_label_id: 2",
            "background_label_id: 2 is not one of the 2 classes",
        ),
        ("num_classes: 2 share_location: false", "mining_type: NONE"),
        ("num_classes: 2 conf_loss_type: FOCALLOSS", "FOCALLOSS defines no loss to mine by"),
        (
            "num_classes: 2 mining_type: HARD_EXAMPLE sample_size: 0",
            "sample_size: must be positive",
        ),
        ("num_classes: 3 map_object_to_agnostic: true", "needs num_classes: 2"),
        ("num_classes: 2 do_neg_mining: false", "do_neg_mining: contradicts mining_type"),
    ],
)
def test_refuses(options, said):
    with pytest.raises(LayerError, match=said):
        make_layer(LAYER.format(options, ""), pb.TRAIN)


@pytest.mark.parametrize(
    ("label", "said"), [(0, "background label 0"), (2, "label 2, outside the 2 classes")]
)
def test_refuses_ground_truth_that_the_classes_do_not_have(label, said):
    with pytest.raises(LayerError, match=f"layer 'loss'.*{said}"):
        make_layer(LAYER.format("num_classes: 2", ""), pb.TRAIN).forward(inputs(label))


def test_refuses_predictions_that_do_not_fit_the_priors():
    loc, conf, prior, gt = inputs()
    with pytest.raises(LayerError, match="2 priors need 8 location predictions an image, not 4"):
        make_layer(LAYER.format("num_classes: 2", ""), pb.TRAIN).forward(
            [loc[:, :4], conf, prior, gt]
        )
