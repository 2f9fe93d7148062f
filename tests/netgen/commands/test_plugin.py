"""`--plugin FILE`: detectors from outside the zoo, in every command that takes an id."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netgen.cli import entry, main
from netgen.zoo import registry
from tests.support import ROOT


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The file that docs/own_detectors.md shows, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry.entries()))
    text = (ROOT / "docs/own_detectors.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code
    Path("mydet.py").write_text(code[1])
    return "mydet.py"


def out(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The output of a command."""
    main(argv)
    return capsys.readouterr().out


def test_list(capsys: pytest.CaptureFixture[str], plugin: str) -> None:
    lines = out(capsys, "list", "--plugin", plugin, "my*").splitlines()
    what = "MyDet300 on VOC 07+12: four maps, for objects that are never large."
    assert lines[1:] == [f"mydet300_voc0712  300x300  {what}"]


def test_build(capsys: pytest.CaptureFixture[str], plugin: str) -> None:
    printed = out(capsys, "build", "mydet300", "--plugin", plugin, "--gpus", "0")
    assert printed.startswith("runs/mydet300_voc0712: wrote train.prototxt, ")
    files = [str(path) for path in Path("runs/mydet300_voc0712").glob("*.prototxt")]
    assert main(["check", *files]) == 0


def test_summary_and_diff(capsys: pytest.CaptureFixture[str], plugin: str) -> None:
    # 4 boxes on 38² and on 5² + 10² cells, 6 on 19²
    boxes = f"{4 * 38**2 + 6 * 19**2 + 4 * (10**2 + 5**2):,}"
    assert boxes in out(capsys, "summary", "mydet300", "--plugin", plugin)
    differences = out(capsys, "diff", "ssd300", "mydet300", "--plugin", plugin)
    assert f"boxes: 8,732 -> {boxes}" in differences


def test_card(capsys: pytest.CaptureFixture[str], plugin: str) -> None:
    card = out(capsys, "card", "mydet300", "--plugin", plugin)
    assert card.startswith("# mydet300_voc0712\n\nMyDet300 on VOC 07+12: four maps,")
    assert "My detectors: SSD with other maps." in card, "the file's docstring is the paper's place"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "other.py: No such file or directory"),
        ("detector(", "other.py:1:9: '(' was never closed"),
        ("\n1 / 0", "other.py:2: ZeroDivisionError: division by zero"),
        ("", "other.py: registers no detector; see netgen.zoo.registry.detector"),
    ],
)
def test_faults(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
    said: str,
) -> None:
    if content is not None:
        Path("other.py").write_text(content)
    monkeypatch.setattr("sys.argv", ["netgen", "list", "--plugin", "other.py"])
    assert entry() == 1
    assert capsys.readouterr() == ("", f"netgen: error: {said}\n")
