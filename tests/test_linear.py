"""Work that grows with the size of a file, not with its square.

The tests count steps: lines of Python that run, or calls, of a file and of one of twice its size.
"""

from __future__ import annotations

import difflib
import gc
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.rules.detection import aspect_ratios
from data_prep.checks.dataset_checks import MOST_COMPARED, DatasetChecks
from data_prep.checks.item_checks import Rules, examine
from data_prep.sources.source import Annotation, Item, Object, Unreadable
from data_prep.sources.voc import Folder
from data_prep.sources.voc_xml import parse_xml, read_annotation
from netrun.engine.graph import build_graph
from ssd_common import suggest

SMALL = 60


def steps(work: Callable[[], object]) -> int:
    """Count the lines of Python that a call runs, those of generators included."""
    count = 0

    def trace(_frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def chain(count: int) -> pb.NetParameter:
    layers = [pb.LayerParameter(name="l0", type="Input", top=["b0"])]
    for i in range(1, count):
        name = f"l{i}"
        layers.append(pb.LayerParameter(name=name, type="ReLU", bottom=["b0"], top=[f"b{i}"]))
    return pb.NetParameter(layer=layers)


def overwritable(count: int) -> Callable[[], object]:
    graph = build_graph(chain(count).layer)
    return lambda: [graph.overwritable(i) for i in range(count)]


def ratios(count: int) -> Callable[[], object]:
    param = pb.PriorBoxParameter(aspect_ratio=[i + 2 for i in range(count)])
    return lambda: aspect_ratios(param)


def misspelt(count: int) -> Callable[[], object]:
    """Classes of one object each: none is frequent beside the others."""
    names = [f"c{i}" for i in range(count)]
    checks = DatasetChecks(
        Folder(Path()), Rules({name: i + 1 for i, name in enumerate(names)}, "map")
    )
    checks.add("all", Item("image", "file"), b"", dict.fromkeys(names, 1))
    return lambda: checks.classes(given=False)


@pytest.mark.parametrize("work", [overwritable, ratios, misspelt])
def test_twice_the_size_takes_twice_the_steps(work: Callable[[int], Callable[[], object]]) -> None:
    work(SMALL)()  # what happens only once
    small = steps(work(SMALL))
    assert small >= SMALL
    assert steps(work(2 * SMALL)) < 2.5 * small


def test_each_class_that_a_map_lacks_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    close = difflib.get_close_matches
    monkeypatch.setattr(
        suggest.difflib,
        "get_close_matches",
        lambda word, *rest, **named: calls.append(word) or close(word, *rest, **named),
    )
    objects = [Object("catt", False, i, i, i + 9, i + 9, 1) for i in range(50)]
    rules = Rules({"cat": 1, "a name of this test": 2}, "map")
    for _ in range(3):
        _, faults = examine(Annotation(100, 100, objects), "f.xml", 100, 100, rules)
        assert "did you mean 'cat'?" in faults[0].message
    assert len([fault for fault in faults if fault.kind == "unknown-class"]) == 50
    assert calls == ["catt"]


def test_only_those_that_begin_alike_of_many_names_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []
    close = difflib.get_close_matches

    def counting(word: str, choices: Any, **named: Any) -> list[str]:
        listed = list(choices)
        compared.append(len(listed))
        return close(word, listed, **named)

    monkeypatch.setattr(suggest.difflib, "get_close_matches", counting)
    names = [*(f"blob{i}" for i in range(10_000)), "conv4_3_norm"]
    assert suggest.suggest("conv4_3_nrom", names) == " (did you mean 'conv4_3_norm'?)"
    assert compared == [2000]


def test_too_many_classes_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.checks.dataset_checks.MOST_COMPARED", 30)
    assert MOST_COMPARED == 1_000_000
    rare = {f"rare {i}": 1 for i in range(10)}
    often = {f"often {i}": 50 for i in range(10)}
    labels = {name: i + 1 for i, name in enumerate([*rare, *often])}
    checks = DatasetChecks(Folder(Path()), Rules(labels, "map"))
    checks.add("all", Item("image", "file"), b"", {**rare, **often})
    found = [str(fault) for fault in checks.classes(given=False)]
    words = "20 are too many classes to compare all names of rare and frequent ones"
    assert found[-1] == words


def test_the_layers_of_a_phase_keep_their_order() -> None:
    rules = ["", "include { phase: TRAIN }", "include { phase: TEST }"]
    layers = [f'layer {{ name: "l{i}" {rules[i % 3]} }}' for i in range(9)]
    net = text.parse(" ".join(layers), pb.NetParameter)
    names = [layer.name for layer in filter_net(net, pb.TEST).layer]
    assert names == ["l0", "l2", "l3", "l5", "l6", "l8"]


@pytest.mark.parametrize("program", ["netgen", "data_prep"])
def test_millions_of_objects_are_not_searched_for_garbage_again_and_again(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = gc.get_threshold()
    monkeypatch.setattr("sys.argv", [program, "completion", "bash"])
    try:
        importlib.import_module(f"{program}.cli").entry()
        assert gc.get_threshold()[0] > 10 * 700
    finally:
        gc.set_threshold(*before)


def test_many_errors_keep_no_frames(tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    objects = [OBJECT.format(x=x) for x in ("a", "b", "c")]
    file.write_text(f"<annotation>{''.join(objects)}</annotation>")
    with pytest.raises(Unreadable) as caught:
        read_annotation(file)
    assert len(caught.value.errors) == 3
    for error in caught.value.errors:
        assert error.__traceback__ is None
        assert error.__context__ is None


OBJECT = """<object><name>cat</name><bndbox><xmin>{x}</xmin><ymin>1</ymin>
<xmax>50</xmax><ymax>60</ymax></bndbox></object>
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_fractions_and_windows_line_ends_need_no_slow_reader(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [OBJECT.format(x=x) for x in ("1", "2.5", "3.0")]
    content = f"<annotation>\n{''.join(objects)}</annotation>".replace("\n", end)
    file = tmp_path / "a.xml"
    file.write_bytes(content.encode())
    with monkeypatch.context() as without:
        without.setattr("data_prep.sources.voc_xml.parse_xml", None)
        found = read_annotation(file)
    monkeypatch.setattr("data_prep.sources.voc_xml._read_plain", lambda _: None)
    assert read_annotation(file) == found
    assert [o.xmin for o in found.objects] == [1, 2.5, 3]
    assert [o.line for o in found.objects] == [2, 4, 6]


def test_text_around_children_is_the_elements() -> None:
    root, _ = parse_xml("f.xml", b"<a>c<b>x</b>a<b/>t</a>")
    assert root.text == "cat"
    assert root.children[0].text == "x"


def test_ratios_are_new_or_not_across_the_borders_of_cells() -> None:
    param = pb.PriorBoxParameter(
        aspect_ratio=[2, 2.0000005, 1.9999995, 2.00001, 1e38, 1e38], flip=False
    )
    assert aspect_ratios(param) == [1, 2, pytest.approx(2.00001), pytest.approx(1e38)]
