"""Rules that hold for every detector of the zoo, in every phase, for every target."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import cautions
from caffe_ir.upgrade import upgrade_net
from caffe_ir.walk import Walk
from netgen.heads.losses import multibox_loss
from netgen.heads.multibox import MultiBox
from netgen.reports.walks import centres_inside, walk_net
from netgen.zoo.registry import entries, resolve
from ssd_common.errors import CaffeError

IDS = list(entries())
PHASES = ("train", "test", "deploy")
# Boxes: the papers print 8732 and 24564; release_facts.md counts 8682 in FSSD300 as released (VOC).
# Tiny: (20² + 3² + 1²)·4 + (10² + 5²)·6 = 1640 + 750 = 2390.
# SSD300 on ResNet-101: 38²·3 + (19² + 10² + 5² + 3² + 1²)·6 = 4332 + 2976.
# SSD300 on ZF: fc7 has 20² cells, not 19²: 8732 + 39·6.
BOXES = {
    "fssd300_voc0712_release": 8682,
    "fssd_tiny_shapes": 2390,
    "ssd300_resnet101_voc0712_release": 7308,
    "ssd300_zf_voc0712_release": 8966,
}
# DSSD prints 17080 and 43688, eight per cell: (40² + 20² + 10² + 5² + 3² + 1²)·8 and
# (64² + 32² + 16² + 8² + 4² + 2² + 1²)·8.
PAPER_BOXES = {300: 8732, 512: 24564, 321: 17080, 513: 43688}
# Learnable parameters of the released nets, release_facts.md section 2 (biases counted, frozen
# filters and statistics not).
PARAMETERS = {
    "ssd300_voc0712": 26_285_486,
    "ssd300_coco": 34_305_206,
    "ssd300_ilsvrc": 50_344_646,
    "ssd512_voc0712": 27_188_676,
    "ssd512_coco": 36_038_196,
    "fssd300_voc0712_release": 33_719_932,
    "fssd512_voc0712_release": 35_229_764,
    "fssd300_coco": 39_366_582,
    "fssd512_coco": 41_590_964,
}
# Families of these boxes; BOXES has the exceptions.
FAMILIES = {"ssd", "resnet", "dssd", "fssd"}
NEEDS_INTERP = {zoo_id for zoo_id in IDS if "fssd" in zoo_id}
# The 68 layer types of the stock SSD fork (weiliu89/caffe, branch ssd: REGISTER_LAYER_… in src).
STOCK = """
    AbsVal Accuracy AnnotatedData ArgMax BNLL BatchNorm BatchReindex Bias Concat ContrastiveLoss
    Convolution Crop Data Deconvolution DetectionEvaluate DetectionOutput Dropout DummyData ELU
    Eltwise Embed EuclideanLoss Exp Filter Flatten HDF5Data HDF5Output HingeLoss Im2col ImageData
    InfogainLoss InnerProduct Input LRN LSTM LSTMUnit Log MVN MemoryData MultiBoxLoss
    MultinomialLogisticLoss Normalize PReLU Parameter Permute Pooling Power PriorBox Python RNN
    ReLU Reduction Reshape SPP Scale Sigmoid SigmoidCrossEntropyLoss Silence Slice SmoothL1Loss
    Softmax SoftmaxWithLoss Split TanH Threshold Tile VideoData WindowData
""".split()  # noqa: SIM905


# Released deploy nets whose BatchNorm is folded into the convolutions before it.
FOLDED = {"mobilenet_ssd300_voc0712_release"}


@cache
def built(zoo_id: str, phase: str, target: str = "ssd") -> tuple[pb.NetParameter, Walk]:
    net = netgen.build(zoo_id, phase, target)
    return net, walk_net(net, phase)  # shapes, and heads against prior boxes


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("zoo_id", IDS)
def test_every_net_is_sound(zoo_id: str, phase: str) -> None:
    """With stock layers."""
    net, found = built(zoo_id, phase)
    detector = netgen.configure(zoo_id)
    assert net.name == f"{zoo_id}_{phase}"
    assert found.priors
    if entries()[zoo_id].family in FAMILIES:
        assert found.priors == BOXES.get(zoo_id, PAPER_BOXES.get(min(detector.image_size)))
    assert found.blobs["data"][1:] == (3, *detector.image_size)
    assert isinstance(detector.recipe.head, MultiBox)
    if phase != "train" or detector.recipe.head.loss is multibox_loss:
        assert found.blobs["mbox_conf"][1] % found.priors == 0
    outputs = {"test": ["detection_eval"], "deploy": ["detection_out"]}
    assert found.outputs == outputs.get(phase, found.outputs)
    assert {layer.type for layer in net.layer} <= set(STOCK)
    if entries()[zoo_id].family != "dssd":
        for layer in net.layer:
            learns = any(param.lr_mult for param in layer.param)
            assert layer.type != "Deconvolution" or not learns, "only DSSD's deconvolutions learn"
    assert zoo_id not in PARAMETERS or found.learnable - found.frozen == PARAMETERS[zoo_id]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("zoo_id", sorted(NEEDS_INTERP))
def test_target_fssd_has_interp(zoo_id: str, phase: str) -> None:
    net, found = built(zoo_id, phase, "fssd")
    assert "Interp" in {layer.type for layer in net.layer}
    assert found.priors == built(zoo_id, phase)[1].priors


@pytest.mark.parametrize("zoo_id", [i for i in IDS if i not in NEEDS_INTERP])
def test_other_nets_are_the_same_for_target_fssd(zoo_id: str) -> None:
    assert netgen.build(zoo_id, "train", "fssd") == built(zoo_id, "train")[0]


@pytest.mark.parametrize("zoo_id", IDS)
def test_it_is_said_where_weights_are_from(zoo_id: str) -> None:
    folder, _, name = netgen.configure(zoo_id).weights.rpartition("/")
    manifest = (Path(__file__).parents[2] / "models/README.md").read_text(encoding="utf-8")
    assert folder != "models" or f"| `{name}` |" in manifest


@pytest.mark.parametrize("zoo_id", IDS)
def test_phases_share_their_weights(zoo_id: str) -> None:
    """Test and deploy nets take every parameter of the training net, by name and shape, no more."""

    def parameters(phase: str) -> dict[str, list[tuple[int, ...]]]:
        found = {}
        for walked in built(zoo_id, phase)[1].layers:
            if walked.facts.params:
                found[walked.layer.name] = [param.shape for param in walked.facts.params]
        return found

    train = parameters("train")
    deploy = parameters("deploy")
    assert train == parameters("test")
    if zoo_id not in FOLDED:
        assert train == deploy
        return
    for name, shapes in deploy.items():
        assert shapes[0] == train[name][0]


# Nets with prior boxes whose centre lies outside the image, and the number of those inside. The
# papers' ids have all centres inside, except SSD300 and detectors that keep its boxes: it counts 32
# pixels from cell to cell of the 10×10 map, as released, and the centres of the map's last row and
# column then lie at 304 of 300 pixels: 19 cells of 6 boxes.
SSD300_INSIDE = 8732 - 19 * 6
INSIDE = {
    # Maps that are a cell wider than their step allows.
    "dsod300_voc0712_release": 8618,
    "dsod300_voc0712pp_release": 8618,
    "dsod300_coco_release": 8618,
    "grp_dsod320_voc0712_release": 17060,
    "ssd300_zf_voc0712_release": 8618,
    # Their first centres are pixels where PriorBox wants steps (release_facts.md, 7.2.1).
    "ssd321_resnet101_voc0712_release": 14144,
    "dssd321_voc0712_release": 14144,
    "dssd321_voc0712_ft_release": 14144,
    "ssd513_resnet101_coco_release": 38240,
    "dssd513_coco_release": 38240,
}


@pytest.mark.parametrize("zoo_id", IDS)
def test_centres_of_prior_boxes_lie_in_the_image(zoo_id: str) -> None:
    _, found = built(zoo_id, "deploy")
    as_ssd300 = zoo_id.startswith(("ssd300", "dsod300")) and found.priors == 8732
    want = INSIDE.get(zoo_id, found.priors)
    if as_ssd300:
        want = SSD300_INSIDE
    assert round(centres_inside(found) * found.priors) == want
    assert want == found.priors or as_ssd300 or zoo_id.endswith("_release")


@pytest.mark.parametrize("zoo_id", IDS)
def test_every_solver_is_sound(zoo_id: str) -> None:
    solver = netgen.solver(zoo_id)
    detector = netgen.configure(zoo_id)
    if solver.lr_policy in ("multistep", "step"):
        steps = list(solver.stepvalue) or [solver.stepsize]
        assert steps == sorted(steps)
        assert 0 < steps[0] <= steps[-1] <= solver.max_iter
    tests = detector.test_solver() or solver
    assert (tests is solver) == bool(solver.test_net)
    assert tests.test_iter[0] * detector.schedule.test_batch >= detector.dataset.test_images
    assert tests.eval_type == "detection"
    assert detector.plan.effective == detector.schedule.batch
    on_gpu = solver.solver_mode == pb.SolverParameter.GPU
    assert on_gpu == bool(detector.devices)


@pytest.mark.parametrize("zoo_id", IDS)
def test_no_entry_has_a_caution(zoo_id: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # where no data of the developer's lie
    nets = {phase: netgen.build(zoo_id, phase) for phase in PHASES}
    for net in nets.values():
        notes: list[str] = []
        copy = pb.NetParameter()
        copy.CopyFrom(net)
        upgrade_net(copy, notes=notes)
        assert notes + cautions.of_net(copy) == []
    tests = netgen.configure(zoo_id).test_solver() or netgen.solver(zoo_id)
    assert cautions.of_solver(tests, nets["train"], [nets["test"]]) == []


@pytest.mark.parametrize("zoo_id", IDS)
def test_every_entry_has_a_card(zoo_id: str) -> None:
    assert entries()[zoo_id].title.endswith((".", ".)"))
    assert netgen.configure(zoo_id).id == zoo_id


@pytest.mark.parametrize(
    ("zoo_id", "steps", "max_iter", "base_lr"),
    [
        ("ssd300_voc0712", [80_000, 100_000, 120_000], 120_000, 1e-3),
        ("ssd300_coco", [320_000, 400_000, 480_000], 480_000, 1e-3),  # 2 x (160k + 40k + 40k)
        ("ssd512_coco", [320_000, 400_000, 480_000], 480_000, 1e-3),
        ("fssd300_voc0712", [80_000, 100_000, 120_000], 120_000, 1e-3),
        ("fssd300_coco", [280_000, 360_000, 400_000], 400_000, 1e-3),
        ("fssd512_coco", [280_000, 320_000, 360_000], 360_000, 1e-3),
        ("fssd512_coco_release", [280_000, 320_000, 360_000], 380_000, 1e-3),
    ],
)
def test_schedules_are_the_papers(
    zoo_id: str, steps: list[int], max_iter: int, base_lr: float
) -> None:
    solver = netgen.solver(zoo_id)
    assert (list(solver.stepvalue), solver.max_iter) == (steps, max_iter)
    assert solver.base_lr == pytest.approx(base_lr)


@pytest.mark.parametrize(
    ("short", "zoo_id"),
    [
        ("fssd300", "fssd300_voc0712"),
        ("ssd512_coco", "ssd512_coco"),
        ("fssd_tiny", "fssd_tiny_shapes"),
        ("ssd512", "ssd512_voc0712"),
    ],
)
def test_short_names(short: str, zoo_id: str) -> None:
    assert resolve(short) == zoo_id


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("fsd300", "fssd300"), ("ssd300_coc", "ssd300_coco"), ("FSSD300", "fssd300")],
)
def test_an_unknown_id_gets_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(CaffeError, match=f"'{wrong}'.*did you mean '{near}"):
        netgen.build(wrong, "train")


def test_unknown_phase_and_target() -> None:
    with pytest.raises(CaffeError, match=r"no phase 'trian'.*did you mean 'train'"):
        netgen.build("ssd300", "trian")
    with pytest.raises(CaffeError, match=r"no target 'caffe'.*ssd, fssd"):
        netgen.build("ssd300", "train", "caffe")
