"""DSOD and GRP-DSOD320: equal to the authors' files, with the papers' boxes and schedules."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from netgen.reports.walks import prior_layers, walk_net
from netgen.zoo.registry import entries
from tests.netgen.test_parity import reference, without_paths
from tests.support import needs_shared

IDS = [zoo_id for zoo_id in entries() if entries()[zoo_id].family == "dsod"]
DSOD = [zoo_id for zoo_id in IDS if zoo_id.startswith("dsod300")]
# SHA-256 (its first 16 digits are plenty) of the files of `FILES` that the authors' own generators
# write: examples/dsod and examples/grp_dsod of szq0214/DSOD, run with python/caffe/net_spec.py of
# weiliu89/caffe, serialised without the nets' names and paths.
FILES = ("train", "test", "deploy", "solver")
RELEASED = {
    "dsod300_voc0712_release": (
        "b2eed0904e6b4412",
        "159ef7a2535c1818",
        "3d50e601468a6d49",
        "7f5dd2ba5aa758fb",
    ),
    "dsod300_voc0712pp_release": (
        "b2eed0904e6b4412",
        "93bed9d5c0b16bba",
        "b846f6e12d9716b7",
        "c7c5637c629be3bf",
    ),
    "dsod300_coco_release": (
        "1a16d4234d1d2a64",
        "1a137bd4d2aba63c",
        "08dce05d5af99159",
        "82165c01d32a58f1",
    ),
    "grp_dsod320_voc0712_release": (
        "1085c74d57ea6ac8",
        "7c879fe18ba464d0",
        "48a68ed5562a2395",
        "6003ffb2c8b091e4",
    ),
}


def digest(message: pb.NetParameter | pb.SolverParameter) -> str:
    without_paths(message)
    if isinstance(message, pb.NetParameter):
        message.ClearField("name")
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()[:16]


@pytest.mark.parametrize("zoo_id", RELEASED)
def test_equal_to_what_the_authors_generators_write(zoo_id: str) -> None:
    nets = [netgen.build(zoo_id, phase) for phase in FILES[:3]]
    ours = [*nets, netgen.solver(zoo_id)]
    assert tuple(map(digest, ours)) == RELEASED[zoo_id]


@needs_shared
def test_the_digests_are_those_of_the_reference_files() -> None:
    read = [reference("dsod300_voc0712", phase, pb.NetParameter) for phase in FILES[:3]]
    read.append(reference("dsod300_voc0712", "solver", pb.SolverParameter))
    assert tuple(map(digest, read)) == RELEASED["dsod300_voc0712_release"]


def weights(net: pb.NetParameter) -> set[tuple[str, tuple]]:
    """Name and shapes of every layer with weights."""
    found = set()
    for walked in walk_net(net, "deploy").layers:
        shapes = tuple(param.shape for param in walked.facts.params)
        if shapes:
            found.add((walked.layer.name, shapes))
    return found


@needs_shared
def test_published_weights_find_all_their_layers() -> None:
    """The paper's nets differ from the released ones in no name and no shape of weights."""
    published = weights(reference("dsod300_voc0712", "deploy", pb.NetParameter))
    assert weights(netgen.build("dsod300_voc0712", "deploy")) == published
    released = weights(netgen.build("dsod300_coco_release", "deploy"))
    assert weights(netgen.build("dsod300_coco", "deploy")) == released


@pytest.mark.parametrize("zoo_id", DSOD)
def test_variants_keep_the_released_names(zoo_id: str) -> None:
    released = {layer.name for layer in netgen.build("dsod300_voc0712_release", "train").layer}
    assert {layer.name for layer in netgen.build(zoo_id, "train").layer} <= released


@pytest.mark.parametrize(
    ("zoo_id", "want"),
    [
        # Cells of the six maps times boxes of a cell: 4, 6, 6, 6, 4, 4; GRP 8, 8, 8, 8, 6, 6.
        # 8732, SSD's
        ("dsod300_voc0712", 38**2 * 4 + (19**2 + 10**2 + 5**2) * 6 + (3**2 + 1**2) * 4),
        # 8744
        ("dsod300_voc0712_release", 38**2 * 4 + (19**2 + 10**2 + 5**2) * 6 + (3**2 + 2**2) * 4),
        # 17078
        ("grp_dsod320_voc0712_release", (40**2 + 20**2 + 10**2 + 5**2) * 8 + (3**2 + 2**2) * 6),
    ],
)
def test_boxes(zoo_id: str, want: int) -> None:
    assert want in (8732, 8744, 17078)
    assert walk_net(netgen.build(zoo_id, "deploy"), "deploy").priors == want


def test_steps_are_ssds_and_the_released_last_map_leaves_the_image() -> None:
    def steps(zoo_id: str) -> list[float]:
        layers = netgen.build(zoo_id, "deploy").layer
        return [layer.prior_box_param.step for layer in layers if layer.type == "PriorBox"]

    for zoo_id in ("dsod300_voc0712", "dsod300_voc0712_release", "ssd300_voc0712"):
        assert steps(zoo_id) == [8, 16, 32, 64, 100, 300]
    assert steps("grp_dsod320_voc0712_release") == [8, 16, 32, 64, 100, 320]
    # Two cells of step 300: centres at 150 and 450, the second of them outside 300 pixels.
    assert [(i + 0.5) * 300 < 300 for i in range(2)] == [True, False]


def test_layers_of_grp() -> None:
    """release_facts.md, section 3."""
    net = netgen.build("grp_dsod320_voc0712_release", "train")
    assert Counter(layer.type for layer in net.layer) == {
        "Scale": 111,
        "BatchNorm": 99,
        "ReLU": 99,
        "Convolution": 94,
        "Concat": 44,
        "InnerProduct": 18,
        "Pooling": 16,
        "Sigmoid": 12,
        "Permute": 12,
        "Flatten": 12,
        "Reshape": 6,
        "Eltwise": 6,
        "Normalize": 6,
        "PriorBox": 6,
        "Deconvolution": 5,
        "AnnotatedData": 1,
        "MultiBoxLoss": 1,
    }


@pytest.mark.parametrize("zoo_id", DSOD)
def test_built_as_the_paper_says(zoo_id: str) -> None:
    """From scratch, with Xavier everywhere (§4.2); BatchNorm, ReLU, convolution; nothing frozen.

    All six maps are L2-normalised to 20 (§3.2).
    """
    net = netgen.build(zoo_id, "train")
    assert netgen.configure(zoo_id).weights == ""
    top_of: dict[str, str] = {}
    released = zoo_id.endswith("_release")
    for layer in net.layer:
        if layer.type == "Convolution":
            filler = "xavier"
            before = "ReLU"
            if layer.name == "Convolution1":
                before = "AnnotatedData"
            elif "_mbox_" in layer.name:
                before = "Normalize"
                if released:
                    filler = "gaussian"
            assert layer.convolution_param.weight_filler.type == filler
            assert not layer.convolution_param.bias_term
            assert top_of[layer.bottom[0]] == before
        if layer.type not in ("BatchNorm", "Scale"):
            assert all(p.lr_mult > 0 for p in layer.param)
        for top in layer.top:
            top_of[top] = layer.type
    norms = [layer.norm_param for layer in net.layer if layer.type == "Normalize"]
    assert [n.scale_filler.value for n in norms] == [20] * 6
    assert not any(n.across_spatial or n.channel_shared for n in norms)


@pytest.mark.parametrize(
    ("zoo_id", "steps", "max_iter"),
    [
        ("dsod300_voc0712", (20_000, 40_000, 60_000, 80_000), 100_000),  # §4.2
        ("dsod300_voc0712pp", (30_000, 50_000, 70_000, 90_000), 110_000),  # §4.3
        ("dsod300_coco", (80_000, 140_000, 200_000, 260_000), 320_000),  # §4.4
        ("dsod300_voc0712_lite", (20_000, 40_000, 60_000, 80_000), 100_000),
    ],
)
def test_schedules(zoo_id: str, steps: tuple[int, ...], max_iter: int) -> None:
    solver = netgen.solver(zoo_id)
    assert (tuple(solver.stepvalue), solver.max_iter) == (steps, max_iter)
    assert solver.iter_size == 2  # "over two training iterations"
    rates = (solver.base_lr, solver.momentum, solver.weight_decay)
    assert rates == pytest.approx((0.1, 0.9, 0.0005))


@pytest.mark.parametrize(
    ("gpus", "want"),
    [([], (8, 16)), ([0], (8, 16)), (range(2), (8, 8)), (range(4), (8, 4)), (range(16), (8, 1))],
)
def test_batch_of_128_whatever_the_gpus(gpus: list[int], want: tuple[int, int]) -> None:
    solver = netgen.solver("dsod300_voc0712", gpus=list(gpus))
    net = netgen.build("dsod300_voc0712", "train", gpus=list(gpus))
    assert (net.layer[0].data_param.batch_size, solver.iter_size) == want
    assert want[0] * want[1] * max(1, len(gpus)) == 128


@pytest.mark.parametrize(
    ("size", "want"),
    [
        (512, [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]),
        # Halved, rounded up; 3 cells become 1 (necks/dsod.py), each axis by itself.
        ((512, 320), [(64, 40), (32, 20), (16, 10), (8, 5), (4, 3), (2, 1), (1, 1)]),
        ((192, 320), [(24, 40), (12, 20), (6, 10), (3, 5), (1, 3), (1, 1)]),
    ],
)
def test_any_size(size: int | tuple[int, int], want: list[tuple[int, int]]) -> None:
    for zoo_id in ("dsod300_voc0712", "dsod300_voc0712_plain", "ssd300_voc0712_dense"):
        found = walk_net(netgen.build(zoo_id, "deploy", size=size), "deploy")
        assert [prior.bottoms[0][2:] for prior in prior_layers(found)] == want


def boxes(net: pb.NetParameter) -> list[pb.PriorBoxParameter]:
    return [layer.prior_box_param for layer in net.layer if layer.type == "PriorBox"]


def test_ssd300_on_resnet101_from_scratch() -> None:
    """Table 4's SSD300S is SSD300*: not the boxes and augmentation of SSD's first version."""
    zoo_id = "ssd300_resnet101_voc0712_scratch"
    found = walk_net(netgen.build(zoo_id, "deploy"), "deploy")
    assert found.priors == 8732
    net, ssd = (netgen.build(name, "train") for name in (zoo_id, "ssd300_voc0712"))
    assert net.layer[0] == ssd.layer[0], "data and augmentation"
    assert net.layer[0].transform_param.expand_param.max_expand_ratio == 4
    assert net.layer[0].transform_param.HasField("distort_param")
    priors, ssd_priors = boxes(net), boxes(ssd)
    assert priors == ssd_priors
    assert not any(param.clip for param in priors)
    fillers = Counter(
        layer.convolution_param.weight_filler.type
        for layer in net.layer
        if layer.type == "Convolution"
    )
    assert set(fillers) == {"xavier"}
    assert netgen.configure(zoo_id).weights == ""
    assert netgen.configure(zoo_id).schedule == netgen.configure("ssd300_voc0712").schedule
