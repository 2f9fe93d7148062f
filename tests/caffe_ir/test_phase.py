"""Which layers a phase, a level and stages include: Caffe's truth table."""

from __future__ import annotations

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from ssd_common.errors import LayerError


def kept(rules: str, phase: int = pb.TRAIN, level: int = 0, stages: tuple[str, ...] = ()) -> bool:
    net = text.parse(
        f'name: "n" layer {{ name: "a" {rules} }} layer {{ name: "b" }}', pb.NetParameter
    )
    before = text.dumps(net)
    names = [layer.name for layer in filter_net(net, phase, level, stages).layer]
    assert text.dumps(net) == before
    assert names in (["a", "b"], ["b"])
    return names == ["a", "b"]


@pytest.mark.parametrize(
    ("rules", "state", "included"),
    [
        ("", {}, True),
        ("include { phase: TRAIN }", {}, True),
        ("include { phase: TRAIN }", {"phase": pb.TEST}, False),
        ("exclude { phase: TEST }", {}, True),
        ("exclude { phase: TEST }", {"phase": pb.TEST}, False),
        ("include { }", {"phase": pb.TEST}, True),
        ("exclude { }", {}, False),
        ("include { phase: TEST } include { stage: 'x' }", {"stages": ("x",)}, True),
        ("include { phase: TEST stage: 'x' }", {"stages": ("x",)}, False),
        ("include { min_level: 1 }", {}, False),
        ("include { min_level: 1 }", {"level": 1}, True),
        ("include { max_level: 1 }", {"level": 1}, True),
        ("include { max_level: 1 }", {"level": 2}, False),
        ("include { stage: 'x' stage: 'y' }", {"stages": ("x",)}, False),
        ("include { stage: 'x' stage: 'y' }", {"stages": ("y", "x", "z")}, True),
        ("include { not_stage: 'x' }", {"stages": ("x",)}, False),
        ("include { not_stage: 'x' }", {"stages": ("y",)}, True),
        ("exclude { not_stage: 'x' }", {}, False),
    ],
)
def test_rules(rules: str, state: dict, included: bool) -> None:
    assert kept(rules, **state) is included


def test_the_nets_own_stages_count() -> None:
    net = text.parse(
        "state { stage: 'x' } layer { name: 'a' include { stage: 'x' stage: 'y' } }",
        pb.NetParameter,
    )
    assert not filter_net(net, pb.TEST).layer
    assert len(filter_net(net, pb.TEST, stages=["y"]).layer) == 1


def test_both_kinds_of_rules() -> None:
    with pytest.raises(LayerError, match="layer 'a', exclude: has include and exclude rules"):
        kept("include { phase: TRAIN } exclude { phase: TEST }")
