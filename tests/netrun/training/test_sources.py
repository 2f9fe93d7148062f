"""Which layers end up in which of a solver's nets: inline nets, files, states, stages and levels.

EXPECTED is what the SSD fork's own log of SOLVER says it creates.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun import Solver
from ssd_common.errors import CaffeError

X = 'layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 dim: 2 } } }'
RULES = {
    "always": "",
    "train": "include { phase: TRAIN }",
    "deep_test": 'include { phase: TEST stage: "deep" }',
    "low": "exclude { min_level: 1 }",
    "high_or_fast": 'include { min_level: 1 } include { stage: "fast" }',
    "not_fast": 'include { not_stage: "fast" }',
    "base_and_deep": 'include { stage: "base" stage: "deep" }',
    "middle": "include { min_level: 1 max_level: 2 }",
    "never": "exclude { }",
}
GENERAL = " ".join(
    [
        X,
        *(
            f'layer {{ name: "{name}" type: "Power" bottom: "x" top: "{name}" {rule} }}'
            for name, rule in RULES.items()
        ),
    ]
)
SOLVER = f"""base_lr: 0.1 lr_policy: "fixed" max_iter: 0 snapshot_after_train: false
test_interval: 1 test_initialization: false
net_param {{ name: "general" state {{ stage: "base" }} {GENERAL} }}
train_state {{ level: 1 stage: "fast" }}
test_net_param {{ name: "inline" {X} layer {{ name: "own" type: "Power" bottom: "x" top: "own"
  include {{ phase: TEST }} }} }}
test_net: "file.prototxt"
test_iter: 1 test_iter: 1 test_iter: 1 test_iter: 1
test_state {{ }} test_state {{ stage: "fast" }}
test_state {{ stage: "deep" }} test_state {{ level: 3 }}
"""
EXPECTED = [
    [
        "always",
        "train",
        "high_or_fast",
        "middle",
    ],  # `caffe train --level=1`: the flag takes the place of train_state's level
    ["own"],
    ["always", "low", "high_or_fast"],
    ["always", "deep_test", "low", "not_fast", "base_and_deep"],
    ["always", "high_or_fast", "not_fast"],
]


def nets(fields: str) -> list[list[str]]:
    """The layers of the train net and the test nets, without data layer and Caffe's Splits."""
    solver = Solver(text.parse(fields, pb.SolverParameter))
    found = []
    for net in (solver.net, *solver.test_nets):
        found.append([la.name for la in net.layer_list if la.type == "Power"])
    return found


def test_every_net_has_the_layers_that_caffe_gives_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.prototxt").write_text(GENERAL)
    assert nets(SOLVER) == EXPECTED


def test_nets_of_their_own_take_no_others_place(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.prototxt").write_text(GENERAL)
    own = SOLVER.replace("net_param", "train_net_param", 1)
    with pytest.raises(CaffeError, match="2 test nets but 4 test_iter"):
        nets(own)
    two = own.replace("test_iter: 1 test_iter: 1 ", "", 1).replace(
        'test_state { stage: "deep" } test_state { level: 3 }', ""
    )
    assert nets(two) == EXPECTED[:3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("net_param", 'net: "file.prototxt" net_param'),
            "exactly one of net, net_param, train_net, train_net_param",
        ),
        (("test_state { }", ""), "4 test nets but 3 test_state"),
        (("test_iter: 1 test_iter: 1 test_iter: 1 ", ""), "2 test nets but 1 test_iter"),
        (("test_interval: 1", ""), "test_interval of at least 1"),
        (
            (
                'stage: "base" }',
                'stage: "base" phase: TRAIN level: 9 } layers { name: "old" type: POWER }',
            ),
            "both 'layer' and 'layers'",
        ),
    ],
)
def test_what_caffe_refuses(
    change: tuple[str, str], said: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.prototxt").write_text(GENERAL)
    Path("solver.prototxt").write_text(SOLVER.replace(*change, 1))
    with pytest.raises(CaffeError, match=said):
        Solver("solver.prototxt")
