"""Writing and checking what this repository commits: prototxt/ and docs/zoo/."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_common.command import run_command
from ssd_common.errors import CaffeError
from tests.support import ROOT
from tools import write_committed, zoo_pages


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small zoo of two detectors and two pages, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        write_committed, "committed_ids", lambda: ["fssd_tiny_shapes", "ssd300_coco"]
    )
    pages = {"docs/zoo/README.md": "# The zoo\n", "docs/zoo/ssd.md": "# ssd\n"}
    monkeypatch.setattr(zoo_pages, "pages", lambda: pages)
    return tmp_path


def test_written_once_and_checked(work: Path) -> None:
    changed = write_committed.write()
    assert {path.parent.name for path in changed} == {
        "fssd_tiny_shapes",
        "ssd300_coco",
        "zoo",
        "models",
    }
    assert (work / "docs/zoo/ssd.md").read_text() == "# ssd\n"
    assert write_committed.write() == []
    write_committed.check()


def test_stale_files_are_named(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_committed.write()
    (work / "docs/zoo/ssd.md").write_text("")
    with pytest.raises(
        CaffeError, match=r"^1 files are not what netgen writes: docs/zoo/ssd\.md; "
    ):
        write_committed.check()
    for name in ("test.prototxt", "train.sh", "solver.prototxt"):
        (work / "prototxt/ssd300_coco" / name).unlink()
    assert run_command("write_committed", write_committed.main, ["--check"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("write_committed: error: 4 files are not what netgen writes: prototxt/")
    assert line.endswith(", …; run make prototxt")


def test_the_guide_to_weights_is_netgens(work: Path) -> None:
    write_committed.write()
    guide = work / "models/README.md"
    text = guide.read_text()
    assert text == (ROOT / "models/README.md").read_text()
    guide.write_text("")
    with pytest.raises(CaffeError, match=r"^1 files .*: models/README\.md; run make prototxt$"):
        write_committed.check()
    assert write_committed.write() == [Path("models/README.md")]
    assert guide.read_text() == text


def test_says_what_it_wrote(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_committed.write()
    (work / "docs/zoo/ssd.md").unlink()
    write_committed.main([])
    assert capsys.readouterr().out == "docs/zoo/ssd.md\n"


def test_wrong_usage() -> None:
    assert run_command("write_committed", write_committed.main, ["--chekc"]) == 2
