"""SSD on ResNet-101 and DSSD: released nets, the paper's figures, the places of prior boxes."""

from __future__ import annotations

from collections import Counter

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.text import read, read_net
from netgen.graph import Net
from netgen.launcher import launcher
from netgen.necks.dssd import growing
from netgen.necks.prediction import prediction_module
from netgen.reports.walks import prior_layers, walk_net
from netgen.sources import Source
from tests.netgen.test_parity import without_paths
from tests.support import SHARED, needs_shared

REFERENCE = SHARED / "reference/prototxt"
PAPER_AND_RELEASE = [
    ("ssd321_resnet101_voc0712", "ssd321_resnet101_voc0712_release"),
    ("ssd513_resnet101_coco", "ssd513_resnet101_coco_release"),
    ("dssd321_voc0712", "dssd321_voc0712_release"),
    ("dssd321_voc0712_ft", "dssd321_voc0712_ft_release"),
    ("dssd513_coco", "dssd513_coco_release"),
]


def parameters(net: pb.NetParameter) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of each layer's blobs, as a .caffemodel must have them."""
    found = {}
    for walked in walk_net(net).layers:
        if walked.facts.params:
            found[walked.layer.name] = [param.shape for param in walked.facts.params]
    return found


@needs_shared
@pytest.mark.parametrize("zoo_id", ["ssd321_resnet101_voc0712", "dssd321_voc0712"])
def test_test_solvers_equal_the_released_ones(zoo_id: str) -> None:
    want = without_paths(read(REFERENCE / zoo_id / "test_solver.prototxt", pb.SolverParameter))
    message = netgen.configure(f"{zoo_id}_release").test_solver()
    assert message
    assert without_paths(message) == want


@needs_shared
@pytest.mark.parametrize(
    "zoo_id",
    [
        "ssd321_resnet101_voc0712",
        "dssd321_voc0712",
        "dssd321_voc0712_ft",
        "dssd321_voc0712_ft_release",
    ],
)
def test_released_weights_find_all_their_layers(zoo_id: str) -> None:
    """Under the paper's ids, too; both stages of DSSD have the same layers."""
    reference = zoo_id.removesuffix("_release").removesuffix("_ft")
    released = read_net(REFERENCE / reference / "deploy.prototxt")
    assert parameters(netgen.build(zoo_id, "deploy")) == parameters(released)


@pytest.mark.parametrize(("paper", "release"), PAPER_AND_RELEASE)
def test_papers_and_releases_share_their_weights(paper: str, release: str) -> None:
    assert parameters(netgen.build(paper, "deploy")) == parameters(netgen.build(release, "deploy"))


def centres(zoo_id: str, **options) -> list[tuple[list[float], list[float]]]:
    """Pixels of the prior boxes' centres, down and across, of each source map."""
    found = []
    for walked in prior_layers(walk_net(netgen.build(zoo_id, "deploy", **options))):
        prior = walked.layer.prior_box_param
        height, width = walked.bottoms[0][2:]
        step_h = step_w = prior.step
        if prior.HasField("step_h"):
            step_h = prior.step_h
            step_w = prior.step_w
        rows = [(i + prior.offset) * step_h for i in range(height)]
        columns = [(i + prior.offset) * step_w for i in range(width)]
        found.append((rows, columns))
    return found


# First centre and step of each map, in pixels (release_facts.md 7.2.1).
PLACES = {
    321: [
        (2.5, 8, 40),
        (2.5, 16, 20),
        (10.5, 32, 10),
        (26.5, 64, 5),
        (90.5, 64, 3),
        (160.5, 321, 1),
    ],
    513: [
        (2.5, 8, 64),
        (2.5, 16, 32),
        (10.5, 32, 16),
        (26.5, 64, 8),
        (58.5, 128, 4),
        (122.5, 256, 2),
        (256.5, 513, 1),
    ],
}


@pytest.mark.parametrize(
    ("zoo_id", "size"),
    [
        ("ssd321_resnet101_voc0712", 321),
        ("dssd321_voc0712", 321),
        ("ssd513_resnet101_coco", 513),
        ("dssd513_coco", 513),
    ],
)
def test_prior_boxes_sit_on_their_cells(zoo_id: str, size: int) -> None:
    for (rows, columns), (start, step, cells) in zip(centres(zoo_id), PLACES[size], strict=True):
        assert rows == columns == pytest.approx([start + i * step for i in range(cells)])
        assert 0 < rows[0] <= rows[-1] < size


@pytest.mark.parametrize(
    ("zoo_id", "size", "inside"),
    [
        ("ssd321_resnet101_voc0712_release", 321, [38, 18, 0, 0, 0, 0]),
        ("dssd321_voc0712_release", 321, [38, 18, 0, 0, 0, 0]),
        ("dssd513_coco_release", 513, [62, 30, 6, 0, 0, 0, 0]),
    ],
)
def test_released_boxes_are_where_the_release_has_them(
    zoo_id: str, size: int, inside: list[int]
) -> None:
    found = []
    for rows, _ in centres(zoo_id):
        found.append(sum(0 <= y <= size for y in rows))
    assert found == inside


@pytest.mark.parametrize("size", [(512, 320), (320, 513), (300, 300), (64, 200), (97, 65)])
@pytest.mark.parametrize("zoo_id", ["ssd321_resnet101_voc0712", "dssd321_voc0712"])
def test_any_input_size(zoo_id: str, size: tuple[int, int]) -> None:
    places = centres(zoo_id, size=size)
    assert [len(axis) for axis in places[-1]] == [1, 1]
    for axes in places:
        for axis, side in zip(axes, size, strict=True):
            assert 0 < axis[0] <= axis[-1] < side
            assert len(axis) > 1 or axis[0] == pytest.approx(side / 2)


@pytest.mark.parametrize("zoo_id", ["ssd321_resnet101_voc0712", "dssd321_voc0712"])
def test_on_vgg16(zoo_id: str) -> None:
    """SSD300's boxes on VGG16's own maps; nothing is frozen, because no SSD was trained with it."""
    net = netgen.build(zoo_id, "train", backbone="vgg16", size=300)
    assert walk_net(net, "train").frozen == 0
    assert {layer.name for layer in net.layer} >= {"conv4_3", "fc7", "res6"}
    places = centres(zoo_id, backbone="vgg16", size=300)
    assert [rows[0] for rows, _ in places[:2]] == [4, 8]
    assert all(rows[0] > 0 and rows[-1] <= 300 for rows, _ in places)


def test_stage_1_freezes_ssd_and_nothing_else() -> None:
    """The trained SSD's layers below its heads keep weights, statistics and factors.

    Everything on top of them learns.
    """
    below = netgen.build("ssd321_resnet101_voc0712_pm_a", "train").layer
    ssd = {layer.name for layer in below if "mbox" not in layer.name}
    checked: Counter = Counter()
    for layer in netgen.build("dssd321_voc0712", "train").layer:
        frozen = layer.name in ssd
        if layer.type == "BatchNorm":
            assert layer.batch_norm_param.use_global_stats == frozen, layer.name
        elif layer.type in ("Convolution", "Deconvolution", "Scale"):
            assert all((p.lr_mult == 0) == frozen for p in layer.param), layer.name
            assert not frozen or all(p.decay_mult == 0 for p in layer.param), layer.name
        else:
            continue
        checked[layer.type, frozen] += 1
    # 104 convolutions of ResNet-101 (1 + 33·3 + 4), four blocks of four above it; three per module
    # and four per prediction module.
    assert checked["BatchNorm", True] == checked["Convolution", True] == 1 + 33 * 3 + 4 + 4 * 4
    assert checked["BatchNorm", False] == 5 * 3 + 6 * 4
    assert checked["Deconvolution", False] == 5


def test_stage_2_trains_everything() -> None:
    for layer in netgen.build("dssd321_voc0712_ft", "train").layer:
        assert not layer.batch_norm_param.use_global_stats
        assert layer.type == "BatchNorm" or all(p.lr_mult for p in layer.param)


@pytest.mark.parametrize(
    ("zoo_id", "before", "iteration"),
    [
        ("dssd321_voc0712", "ssd321_resnet101_voc0712", 70000),
        ("dssd321_voc0712_pm_d", "ssd321_resnet101_voc0712_pm_d", 70000),
        ("dssd321_voc0712_ft", "dssd321_voc0712", 30000),
        ("dssd321_voc0712_ft_release", "dssd321_voc0712_release", 30000),
        ("dssd513_coco_release", "ssd513_resnet101_coco_release", 250000),
    ],
)
def test_each_stage_starts_from_the_one_before(zoo_id: str, before: str, iteration: int) -> None:
    snapshot = f"runs/{before}/snapshots/{before}_iter_{iteration}.caffemodel"
    assert netgen.configure(zoo_id).weights == snapshot


def test_stages_on_another_data_set() -> None:
    """Each starts from the one before on that data set."""
    weights = netgen.configure("dssd321", dataset="shapes").weights
    before = "ssd321_resnet101_shapes"
    assert weights == f"runs/{before}/snapshots/{before}_iter_70000.caffemodel"
    weights = netgen.configure("dssd321", dataset="shapes", backbone="vgg16").weights
    assert weights == "models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel"


def test_another_size_starts_from_the_same_size() -> None:
    weights = netgen.configure("dssd321", size=400).weights
    assert weights.startswith("runs/ssd400_resnet101_voc0712/snapshots/ssd400_resnet101_voc0712_")


@pytest.mark.parametrize(
    ("zoo_id", "stops"),
    [("dssd321", True), ("dssd321_voc0712_ft", False), ("ssd321_resnet101", False)],
)
def test_a_frozen_net_is_not_trained_from_nothing(zoo_id: str, stops: bool) -> None:
    script = launcher(netgen.configure(zoo_id))
    assert ("train that first" in script) == stops
    assert ("random weights" in script) != stops


@pytest.mark.parametrize(
    ("zoo_id", "steps", "max_iter", "base_lr", "batch"),
    [
        ("ssd321_resnet101_voc0712", [40_000, 60_000], 70_000, 1e-3, (8, 4, 1)),
        ("ssd513_resnet101_voc0712", [40_000, 60_000], 70_000, 1e-3, (5, 4, 1)),
        ("ssd321_resnet101_voc0712pp", [60_000, 90_000], 100_000, 1e-3, (8, 4, 1)),
        ("ssd321_resnet101_coco", [160_000, 220_000], 240_000, 1e-3, (12, 4, 1)),  # 48 images
        ("ssd513_resnet101_coco", [160_000, 220_000], 240_000, 1e-3, (5, 4, 1)),
        ("dssd321_voc0712", [20_000], 30_000, 1e-3, (4, 4, 2)),
        ("dssd513_voc0712", [20_000], 30_000, 1e-3, (5, 4, 1)),
        ("dssd321_voc0712pp", [30_000], 50_000, 1e-3, (4, 4, 2)),
        ("dssd513_coco", [80_000], 130_000, 1e-3, (5, 4, 1)),
        ("dssd321_voc0712_ft", [20_000], 40_000, 1e-3, (4, 4, 2)),
        # As release_facts.md has those without a reference file.
        ("dssd321_voc0712_ft_release", [20_000], 40_000, 1e-4, (4, 4, 2)),
        ("ssd513_resnet101_coco_release", [130_000, 210_000], 250_000, 1e-3, (5, 4, 2)),
        ("dssd513_coco_release", [80_000, 130_000], 150_000, 1e-3, (1, 1, 32)),
    ],
)
def test_schedules(
    zoo_id: str, steps: list[int], max_iter: int, base_lr: float, batch: tuple[int, int, int]
) -> None:
    solver = netgen.solver(zoo_id)
    plan = netgen.configure(zoo_id).plan
    assert (list(solver.stepvalue), solver.max_iter) == (steps, max_iter)
    assert solver.base_lr == pytest.approx(base_lr)
    assert (plan.per_gpu, plan.devices, plan.iter_size) == batch


@pytest.mark.parametrize(
    ("zoo_id", "passes"), [("ssd513_resnet101_coco_release", 1250), ("dssd513_coco_release", 2500)]
)
def test_passes_of_the_test_solvers(zoo_id: str, passes: int) -> None:
    message = netgen.configure(zoo_id).test_solver()
    assert message
    assert list(message.test_iter) == [passes]
    assert message.max_iter == 0
    assert message.test_initialization is True
    assert not netgen.solver(zoo_id).test_net


@pytest.mark.parametrize(
    ("kind", "blocks", "convolutions", "channels", "head_name"),
    [
        ("a", 0, 0, 512, "x_relu"),
        ("b", 1, 3, 512, "resx_relu_inter256"),
        ("c", 1, 4, 1024, "resx_relu_inter256"),
        ("d", 2, 8, 1024, "resx_relu_inter256_inter256"),
    ],
)
def test_prediction_modules(
    kind: str, blocks: int, convolutions: int, channels: int, head_name: str
) -> None:
    net = Net("n", "deploy")
    x = net.input("x", (1, 512, 10, 6))
    found = prediction_module(net, Source(x, 8, 0.25, name="x_relu"), kind)
    assert found.blob.shape == (1, channels, 10, 6)
    assert (found.step, found.offset) == (8, 0.25)
    types = Counter(layer.type for layer in net.proto.layer)
    assert types["Eltwise"] == blocks
    assert types["Convolution"] == convolutions
    assert found.head_name == head_name


def test_the_sum_changes_the_operation_only() -> None:
    product = without_paths(netgen.build("dssd321_voc0712", "deploy"))
    total = without_paths(netgen.build("dssd321_voc0712_sum", "deploy"))
    operations: Counter = Counter()
    for ours, theirs in zip(total.layer, product.layer, strict=True):
        for name in ("name", "bottom", "top"):
            theirs.ClearField(name)
            ours.ClearField(name)
        if ours != theirs:
            operations[ours.eltwise_param.operation, theirs.eltwise_param.operation] += 1
    assert operations == {(pb.EltwiseParameter.SUM, pb.EltwiseParameter.PROD): 5}


@pytest.mark.parametrize("cells", range(1, 80))
def test_an_axis_grows_back(cells: int) -> None:
    for target in range(cells + 1, 4 * cells):
        kernel, stride = growing(cells, target)
        assert kernel >= 1
        assert stride * (cells - 1) + kernel == target
    stride = min(cells, 2)
    assert growing(cells, 2 * cells) == (2, stride)


def test_dimensions_of_the_maps() -> None:
    """Table 2: 40, 20, 10, 5, 3 and 1 cells; conv5_x keeps stride 16."""
    found = walk_net(netgen.build("ssd321_resnet101_voc0712", "deploy"))
    maps = {
        "res3b3": (1, 512, 40, 40),
        "res4b22": (1, 1024, 20, 20),
        "res5c": (1, 2048, 20, 20),
        "res6": (1, 1024, 10, 10),
        "res7": (1, 1024, 5, 5),
        "res8": (1, 1024, 3, 3),
        "res9": (1, 1024, 1, 1),
    }
    assert {name: found.blobs[name] for name in maps} == maps
