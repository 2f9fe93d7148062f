"""netgen's face: the names that a user imports."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import netgen
from netgen.reports.checks import CheckedNet, CheckedSolver
from netgen.zoo import configuration
from netgen.zoo.registry import entries
from ssd_common.errors import CaffeError
from tests.support import ROOT


def test_every_name_is_a_documented_function() -> None:
    for name in netgen.__all__:
        found = getattr(netgen, name)
        assert name == "__version__" or (callable(found) and found.__doc__)
    with pytest.raises(AttributeError, match="'netgen' has no attribute 'bild'"):
        netgen.bild  # type: ignore[attr-defined]  # noqa: B018


def test_options_for_type_checkers_are_those_of_configure() -> None:
    """build, solver, write and placed hand them on: a keyword of configure is one of theirs."""
    wanted = {
        name: parameter.annotation
        for name, parameter in inspect.signature(netgen.configure).parameters.items()
        if name not in ("zoo_id", "out", "target")
    }
    given = configuration.Options.__annotations__.items()
    assert {name: reference.__forward_arg__ for name, reference in given} == wanted


def test_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changed = netgen.write("ssd300")
    assert Path("prototxt/ssd300_voc0712/train.prototxt") in changed
    assert netgen.write("ssd300") == []
    on_cpu = netgen.write("ssd300", gpus=[])
    assert {path.parent for path in on_cpu} == {Path("runs/ssd300_voc0712")}
    assert netgen.write("ssd300", "fssd", out="runs/../runs/mine")[0].parent == Path("runs/mine")
    assert netgen.write("ssd300", out="./prototxt/ssd300_voc0712/") == []
    with pytest.raises(CaffeError, match="did you mean 'fssd300'"):
        netgen.write("fsd300")


def test_summary_card_and_diff_are_text() -> None:
    deploy = ROOT / "prototxt/ssd300_voc0712/deploy.prototxt"
    assert netgen.summary(str(deploy)) == netgen.summary("ssd300")
    assert netgen.card("ssd300").startswith("# ssd300_voc0712\n")
    assert netgen.diff(str(deploy), "ssd300") == ""


@pytest.mark.parametrize("named", ["net", "train_net"])
def test_a_solver_that_names_a_solver(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.prototxt").write_text(f'{named}: "b.prototxt"\nbase_lr: 0.1\n')
    Path("b.prototxt").write_text(f'{named}: "a.prototxt"\nbase_lr: 0.1\n')
    Path("self.prototxt").write_text(f'{named}: "self.prototxt"\nbase_lr: 0.1\n')
    for file, solver in (("a", "b"), ("self", "self")):
        with pytest.raises(CaffeError, match=f"{file}.prototxt: names the solver '{solver}.proto"):
            netgen.check(f"{file}.prototxt")


def test_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # a solver's paths count from there
    net = netgen.check("prototxt/ssd300_voc0712/test.prototxt")
    assert isinstance(net, CheckedNet)
    assert (net.input, net.boxes, net.parameters) == ((8, 3, 300, 300), 8732, 26285486)
    solver = netgen.check("prototxt/ssd300_voc0712/solver.prototxt")
    assert isinstance(solver, CheckedSolver)
    assert (solver.max_iter, solver.steps) == (120000, (80000, 100000, 120000))


def test_detectors() -> None:
    assert netgen.detectors() == list(entries().values())
    found = netgen.detectors("ppn300_coco", "ssd300_coco", "ssd30?_coco")
    assert [detector.id for detector in found] == ["ssd300_coco", "ppn300_coco"]
    assert found[0].title.startswith("SSD300")
    with pytest.raises(CaffeError, match=r"no detector matches 'fsd300\*' \(did you mean"):
        netgen.detectors("ssd*", "fsd300*")
