"""Backbones that register themselves, and take each other's place below a neck."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import netgen
from netgen.backbones import registry
from netgen.backbones.registry import Backbone, backbones, interchangeable, register
from netgen.backbones.vgg16 import VGG16
from netgen.backbones.zf import ZF
from netgen.cli import PROGRAM
from netgen.data_layer import Pixels
from netgen.graph import Blob, Net
from ssd_common.errors import CaffeError
from tests.support import ROOT


def tiny(net: Net, image: Blob) -> dict[str, Blob]:
    """Four convolutions, each of which halves the image."""
    x = image
    maps = {}
    for number in range(1, 5):
        name = f"half{number}"
        x = net.add("Convolution", name, x, num_output=8, kernel_size=3, pad=1, stride=2)
        maps[name] = x
    return maps


@pytest.fixture
def tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backbone]:
    """A new backbone, registered as a file of the folder would do it."""
    monkeypatch.setattr(registry, "_REGISTERED", dict(backbones()))
    backbones.cache_clear()
    yield register(
        Backbone(
            name="tiny",
            year=2026,
            build=tiny,
            maps={4: "half2", 8: "half3", 16: "half4"},
            weights="models/tiny.caffemodel",
            pixels=Pixels((1, 2, 3)),
        )
    )
    monkeypatch.undo()
    backbones.cache_clear()


def test_every_file_registers_its_backbone() -> None:
    assert list(backbones()) == ["zf", "vgg16", "resnet101", "mobilenet"], "the oldest first"
    for name, backbone in backbones().items():
        assert backbone.name == name


@pytest.mark.parametrize("name", backbones())
def test_maps_have_the_declared_strides(name: str) -> None:
    """At 320 pixels strides 4, 8, 16 give 80, 40, 20 cells, or one more if pooling rounds up."""
    backbone = backbones()[name]
    net = Net("n", "deploy")
    maps = backbone.build(net, net.input("data", (1, 3, 320, 320)))
    for stride, layer in backbone.maps.items():
        assert maps[layer].size[0] in (320 // stride, 320 // stride + 1)
        assert maps[layer].name == layer


@pytest.mark.parametrize("name", backbones())
def test_its_weights_are_in_the_list_of_models(name: str) -> None:
    file = Path(backbones()[name].weights)
    assert file.parent.name == "models"
    assert f"| `{file.name}` |" in (ROOT / "models/README.md").read_text(encoding="utf-8")


def test_a_backbone_takes_the_place_of_one_with_the_same_strides() -> None:
    assert list(interchangeable(VGG16)) == ["vgg16", "resnet101", "mobilenet"]
    assert list(interchangeable(ZF)) == list(backbones()), "ZF has no map of stride 4"


def test_a_new_backbone_is_used_at_once(tiny_backbone: Backbone) -> None:
    run = netgen.configure("fssd300", backbone="tiny")
    assert (run.id, run.weights) == ("fssd300_tiny_voc0712", tiny_backbone.weights)
    net = run.build("train")
    names = {layer.name for layer in net.layer}
    assert {"half4", "conv6_1"} < names
    assert "conv4_3" not in names
    assert list(net.layer[0].transform_param.mean_value) == [1, 2, 3]
    with pytest.raises(CaffeError, match=r"no backbone 'tini' \(did you mean 'tiny'\?\)"):
        netgen.configure("fssd300", backbone="tini")


def test_a_new_backbone_is_in_the_help_of_build(tiny_backbone: Backbone) -> None:
    text = " ".join(PROGRAM.parser("build").format_help().split())
    assert "below the same neck: vgg16, resnet101, mobilenet, tiny " in text


def test_a_name_is_registered_once(tiny_backbone: Backbone) -> None:
    with pytest.raises(CaffeError, match="backbone 'tiny' is registered twice"):
        register(tiny_backbone)
