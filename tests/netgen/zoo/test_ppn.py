"""PPN: its size, its shared predictor, its schedule, and its files."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.walk import Walk
from netgen.heads.multibox import MultiBox
from netgen.launcher import LAUNCHER
from netgen.reports.walks import walk_net
from netgen.run import Run
from netgen.schedules import Schedule, cosine
from netgen.solvers import solver_chain
from netgen.writer import texts
from tests.netgen.zoo.test_mobilenet import BACKBONE, STAGES
from tests.support import ROOT

IDS = ["ppn300_coco", "ppn300_coco_release"]
CELLS = 19 * 19 + 10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1


def walked(zoo_id: str, phase: str = "deploy") -> Walk:
    return walk_net(netgen.build(zoo_id, phase), phase)


def loss(detector: Run) -> pb.LayerParameter:
    return detector.build("train").layer[-1]


@pytest.mark.parametrize("zoo_id", IDS)
def test_size_is_the_published_one(zoo_id: str) -> None:
    last = STAGES[11:]  # conv12 and conv13, which PPN lacks
    to_conv11 = BACKBONE - sum(9 * i + i * o + 2 * i + 2 * o for i, o in last)
    assert to_conv11 == 1_613_120
    shared = 512 * 512
    normalised = 6 * 2 * 512  # BatchNorm's factors and terms, for each map
    boxes = 513 * 6 * 4
    classes = 513 * 6 * 91
    found = walked(zoo_id)
    assert found.learnable == to_conv11 + shared + normalised + boxes + classes == 2_173_818
    assert found.learnable == pytest.approx(2.18e6, rel=0.01)
    assert found.priors == 6 * CELLS == 3000
    # Multiply-adds of MobileNet to conv11, 896M, and of the predictor, 277M; two FLOPs each.
    predictor = CELLS * (512 * 512 + 512 * 6 * (4 + 91))
    assert predictor == pytest.approx(277e6, rel=0.001)
    assert found.macs - predictor == pytest.approx(896e6, rel=0.001)
    assert 2 * found.macs == pytest.approx(2.35e9, rel=0.01)


@pytest.mark.parametrize("phase", ["train", "test", "deploy"])
def test_maps_share_one_predictor(phase: str) -> None:
    found = walked("ppn300_coco", phase)
    for number, cells in enumerate((19, 10, 5, 3, 2, 1), 1):
        assert found.blobs[f"predictor{number}"][1:] == (512, cells, cells)
    names = {}
    for walked_layer in found.layers:
        layer = walked_layer.layer
        names[layer.name] = [param.name for param in layer.param]
    for number in range(1, 7):
        assert names[f"predictor{number}"] == ["predictor_w"]
        assert names[f"predictor{number}_mbox_loc"] == ["predictor_loc_w", "predictor_loc_b"]
        assert names[f"predictor{number}_mbox_conf"] == ["predictor_conf_w", "predictor_conf_b"]
        assert names[f"predictor{number}/scale"] == ["", ""]


def test_scales_are_evenly_spread() -> None:
    head = netgen.configure("ppn300_coco").recipe.head
    assert isinstance(head, MultiBox)
    priors = head.priors
    assert priors
    assert [p.min_size / 300 for p in priors] == pytest.approx([0.15, 0.31, 0.47, 0.63, 0.79, 0.95])
    assert [p.max_size / 300 for p in priors] == pytest.approx([0.31, 0.47, 0.63, 0.79, 0.95, 1])
    assert {p.count for p in priors} == {6}


def test_the_loss_is_the_paper_s_and_the_release_s() -> None:
    layers = [loss(netgen.configure(zoo_id)) for zoo_id in IDS]
    options = [json.loads(layer.python_param.param_str) for layer in layers]
    common = {"num_classes": 91, "gamma": 2, "use_difficult_gt": False}
    assert options == [
        common | {"alpha": 0.25, "loc_weight": 1},
        common | {"alpha": 0.75, "loc_weight": 1.5 / 4},
    ]
    assert list(loss(netgen.configure(IDS[0])).loss_weight) == [1]


def test_a_cosine_is_drawn_in_straight_lines() -> None:
    """Rates of the chain at every iteration against TensorFlow's formula."""
    schedule = netgen.configure("ppn300_coco_release").schedule
    solvers = solver_chain(schedule, pb.SolverParameter(max_iter=schedule.max_iter))
    assert len(solvers) == 13
    start = 0
    worst = 0.0
    for solver in solvers:
        for iteration in range(start, solver.max_iter, 50):
            rate = solver.base_lr * (1 + solver.gamma * iteration) ** -solver.power
            if iteration < 2000:
                want = 0.1333 + (0.7 - 0.1333) * iteration / 2000
            else:
                want = 0.35 * (1 + math.cos(math.pi * (iteration - 2000) / 48_000))
            worst = max(worst, abs(rate - want))
        start = solver.max_iter
    assert start == 50_000
    assert 0.002 < worst < 0.0043 * 0.7
    assert solvers[-1].base_lr * (1 + solvers[-1].gamma * 50_000) == pytest.approx(0, abs=1e-6)


def test_pieces_follow_each_other() -> None:
    """Ten iterations up, then twelve pieces of ten each: 15° of the cosine's 180° a piece."""
    segments = cosine(130, 1, warm_up=10, warm_up_from=0.1)
    assert [segment.until for segment in segments] == list(range(10, 131, 10))
    assert (segments[0].start, segments[0].end) == (0.1, 1)
    # (1 + cos 45°) / 2, then of 60°, 90°, 120° and 135°, the starts of pieces 3, 4, 6, 8 and 9.
    half = math.sqrt(0.5)
    starts = [segments[1 + piece].start for piece in (0, 3, 4, 6, 8, 9)]
    assert starts == pytest.approx([1, (1 + half) / 2, 0.75, 0.5, 0.25, (1 - half) / 2])
    assert all(one.end == other.start for one, other in pairwise(segments))
    assert segments[-1].end == 0
    shorter = Schedule(steps=(), max_iter=130, segments=segments).shortened(65)
    assert shorter.segments[-1].until == 65


@pytest.mark.parametrize("zoo_id", IDS)
def test_the_python_layer_comes_with_the_nets(zoo_id: str) -> None:
    files = texts(netgen.configure(zoo_id))
    source = ROOT / "netgen/python_layers/ssd_focal_loss.py"
    assert files["ssd_focal_loss.py"] == source.read_text()
    script = files[LAUNCHER]
    assert f"export PYTHONPATH=prototxt/{zoo_id}:$CAFFE_ROOT/python" in script
    one_gpu = "--gpu=0\n" in script or "--gpu=0)" in script
    assert one_gpu, "Caffe runs Python layers on one GPU"


def test_other_nets_need_no_python() -> None:
    files = texts(netgen.configure("mobilenet_ssd300_coco"))
    assert not [name for name in files if name.endswith(".py")]
    assert "PYTHONPATH" not in files[LAUNCHER]


def test_the_python_layer_is_python_2() -> None:
    """No syntax that the Python of SSD's time lacks; ASCII without a declaration."""
    source = Path(ROOT / "netgen/python_layers/ssd_focal_loss.py").read_bytes().decode("ascii")
    for newer in ("annotations", "f'", 'f"', "nonlocal", "yield from", " -> "):
        assert newer not in source
