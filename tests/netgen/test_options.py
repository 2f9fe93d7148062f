"""Detectors of sizes, class counts and backbones that the zoo does not have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import netgen
from netgen.cli import main
from netgen.heads.multibox import MultiBox
from netgen.heads.priors import SSD300, derive
from netgen.reports.walks import centres_inside, prior_layers, walk_net
from netgen.zoo.registry import entries
from ssd_common.errors import CaffeError, UsageError


def sizes(zoo_id: str, **options) -> list[tuple[int, ...]]:
    found = walk_net(netgen.build(zoo_id, "deploy", **options), "deploy")
    assert found.outputs == ["detection_out"]
    return [prior.bottoms[0][2:] for prior in prior_layers(found)]


@pytest.mark.parametrize("zoo_id", ["ssd300", "fssd300"])
@pytest.mark.parametrize(
    ("size", "want"),
    [
        # Strides 8 and 16, then halved and at last without border, each axis by itself
        # (blocks.shrinking).
        ((512, 320), [(64, 40), (32, 20), (16, 10), (8, 5), (4, 3), (2, 1), (1, 1)]),
        ((320, 512), [(40, 64), (20, 32), (10, 16), (5, 8), (3, 4), (1, 2), (1, 1)]),
        ((96, 640), [(12, 80), (6, 40), (3, 20), (1, 10), (1, 5), (1, 3), (1, 1)]),
        (160, [(20, 20), (10, 10), (5, 5), (3, 3), (1, 1)]),
        (1000, [(125, 125), (63, 63), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]),
    ],
)
def test_any_size_and_aspect(
    zoo_id: str, size: int | tuple[int, int], want: list[tuple[int, int]]
) -> None:
    assert sizes(zoo_id, size=size) == want


@pytest.mark.parametrize(
    "family_", sorted({entry.family for entry in entries().values()} - {"shapes"})
)
def test_every_family_takes_images_that_are_not_square(family_: str) -> None:
    """Heads fit the boxes, or `walk_net` refuses them; boxes lie inside as in the square image."""
    zoo_id = next(entry.id for entry in entries().values() if entry.family == family_)
    for phase in ("train", "deploy"):
        found = walk_net(netgen.build(zoo_id, phase, size=(512, 320), classes=5), phase)
        assert found.blobs["data"][2:] == (512, 320)
        assert found.blobs["mbox_conf"][1] == 5 * found.priors
    square = walk_net(netgen.build(zoo_id, "deploy"), "deploy")
    assert centres_inside(found) >= centres_inside(square) - 0.01


def test_the_nets_read_images_of_that_size() -> None:
    resize = netgen.build("ssd300", "train", size=(512, 320)).layer[0].transform_param.resize_param
    assert (resize.height, resize.width) == (512, 320)
    assert netgen.configure("ssd300", size=(512, 320)).id == "ssd512x320_voc0712"
    assert netgen.configure("ssd300", size=(512, 512)).id == "ssd512_voc0712"
    assert netgen.configure("ssd300", size=512).id == "ssd512_voc0712"


def test_another_size_of_the_zoo_is_that_of_the_zoo() -> None:
    for zoo_id in ("ssd{}_voc0712", "fssd{}_coco"):
        for phase in ("train", "deploy"):
            got = netgen.build(zoo_id.format(300), phase, size=512)
            want = netgen.build(zoo_id.format(512), phase)
            if phase == "train":
                got.layer[0].data_param.batch_size = want.layer[0].data_param.batch_size
            assert got == want


def test_prior_boxes_of_their_own_grow_with_the_image() -> None:
    run = netgen.configure("fssd300")
    fixed = netgen.build("fssd300", "deploy")
    sides = [layer.prior_box_param.min_size[0] for layer in fixed.layer if layer.type == "PriorBox"]
    priors = derive(SSD300, 300, 6)
    run = replace(run, recipe=replace(run.recipe, head=MultiBox(priors=priors)))
    grown = run.resized((600, 300)), run.resized((330, 360))
    heads = [other.recipe.head for other in grown]
    assert isinstance(heads[0], MultiBox)
    assert isinstance(heads[1], MultiBox)
    assert [p.min_size for p in heads[0].priors or ()] == pytest.approx(sides)
    larger = [side * 1.1 for side in sides]
    assert [p.min_size for p in heads[1].priors or ()] == pytest.approx(larger)
    message = r"7 source maps, .*fea_concat_bn_ds_1 \(75x38\).* but prior boxes for 6"
    with pytest.raises(CaffeError, match=message):
        grown[0].build("deploy")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (8, r"three maps or more, but there are 2"),
        (0, "at least one pixel, not 0"),
        (1, "layer|maps"),
    ],
)
def test_sizes_that_cannot_be(size: int, words: str) -> None:
    with pytest.raises(CaffeError, match=words):
        netgen.build("ssd300", "train", size=size)


def test_released_aspect_ratios_are_for_six_maps() -> None:
    with pytest.raises(CaffeError, match="aspect ratios for 6 maps, but 7 maps"):
        netgen.build("fssd300_voc0712_release", "train", size=512)


def test_class_counts() -> None:
    net = netgen.build("ssd300", "train", classes=3)
    assert net.layer[-1].multibox_loss_param.num_classes == 3
    assert walk_net(net, "train").blobs["mbox_conf"] == (8, 8732 * 3)
    with pytest.raises(CaffeError, match="at least 2 classes"):
        netgen.build("ssd300", "train", classes=1)


@pytest.mark.parametrize("zoo_id", ["ssd300", "fssd300"])
def test_on_mobilenet(zoo_id: str) -> None:
    """Its images have other values than VGG's: −1 to 1."""
    assert sizes(zoo_id, backbone="mobilenet") == sizes(zoo_id)
    data = netgen.build(zoo_id, "train", backbone="mobilenet").layer[0].transform_param
    assert (list(data.mean_value), data.scale) == ([127.5] * 3, pytest.approx(0.007843))


@pytest.mark.parametrize("zoo_id", ["ssd300", "fssd300"])
def test_on_resnet101(zoo_id: str) -> None:
    net = netgen.build(zoo_id, "train", backbone="resnet101")
    names = {layer.name for layer in net.layer}
    assert "res5c" in names
    assert "conv4_3" not in names
    assert sizes(zoo_id, backbone="resnet101") == sizes(zoo_id)
    detector = netgen.configure(zoo_id, backbone="resnet101")
    assert detector.recipe.name == f"{zoo_id}_resnet101"
    assert detector.weights == "models/ResNet-101-model.caffemodel"
    assert netgen.configure("fssd300_voc0712_scratch", backbone="resnet101").weights == ""
    assert netgen.configure(zoo_id, backbone="vgg16") == netgen.configure(zoo_id)


def test_dssd_on_vgg16() -> None:
    """Deconvolution modules over SSD's own maps, which have other sizes.

    Maps of strides 8 and 16 take the places of conv3_x and conv5_x.
    """
    maps = sizes("dssd321", size=320, backbone="vgg16")
    assert maps == [(n, n) for n in (40, 20, 10, 5, 3, 1)]
    names = {layer.name for layer in netgen.build("dssd321", "train", backbone="vgg16").layer}
    assert {"conv4_3", "fc7"} < names
    assert "res5c" not in names
    assert netgen.configure("dssd321", backbone="vgg16").id == "dssd321_vgg16_voc0712"


def test_backbones_that_cannot_be() -> None:
    with pytest.raises(CaffeError, match=r"no backbone 'resnet10'.*did you mean 'resnet101'"):
        netgen.build("ssd300", "train", backbone="resnet10")
    with pytest.raises(CaffeError, match="made for its own backbone"):
        netgen.build("fssd_tiny", "train", backbone="resnet101")


def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["build", "fssd300", "--size", "320x192", "--classes", "4", "--backbone", "resnet101"])
    said = capsys.readouterr().out
    assert said.startswith("runs/fssd320x192_resnet101_voc0712: wrote")
    assert said.endswith("\ninput 192 wide, 320 high\n")
    assert not Path("prototxt").exists()
    for wrong in ("320*192", "x3", "big"):
        with pytest.raises(CaffeError, match="height and width"):
            main(["build", "fssd300", "--size", wrong])


def test_height_and_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They write what --size HxW writes, and the sides are echoed by name."""
    monkeypatch.chdir(tmp_path)
    main(["build", "fssd300", "--width", "640", "--height", "360", "--out", "a/x"])
    assert capsys.readouterr().out.endswith("\ninput 640 wide, 360 high\n")
    main(["build", "fssd300", "--size", "360x640", "--out", "b/x"])
    assert capsys.readouterr().out.endswith("\ninput 640 wide, 360 high\n")
    files = [Path(out, "x/deploy.prototxt").read_text() for out in ("a", "b")]
    assert files[0].replace('"a/x/', '"b/x/') == files[1]
    assert "dim: 360 dim: 640" in " ".join(files[0].split())
    main(["build", "fssd300", "--height", "320", "--width", "320", "--out", "c"])
    assert " wide, " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--height", "360"], "--height and --width go together; see netgen build --help"),
        (["--width", "640"], "--height and --width go together; see netgen build --help"),
        (["--size", "300", "--height", "360", "--width", "640"], "give one of them"),
        (["--height", "0", "--width", "640"], "--height"),
    ],
)
def test_half_a_size_and_two_sizes(flags: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        main(["build", "fssd300", *flags])
