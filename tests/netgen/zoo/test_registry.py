"""Registering detectors: the zoo's own, those of a plugin file and of an installed distribution."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import netgen
from netgen.zoo import registry
from netgen.zoo.registry import committed_ids, entries, get, load_plugin, matching
from ssd_common.errors import CaffeError, ParseError
from tests.support import ROOT

PLUGIN = '''"""MyNet (Nobody et al. 2026)."""

from dataclasses import replace
from typing import NamedTuple

from netgen.zoo.registry import detector, get


class Row(NamedTuple):
    size: int

    @property
    def id(self):
        return f"mynet{self.size}_voc0712"


@detector()
def mynet_coco():
    """MyNet on COCO: as large as SSD300.

    Nothing else is known.
    """
    return replace(get("ssd300_coco"), name="mynet")


@detector(rows=(Row(300), Row(512)))
def sizes(row):
    """MyNet{row.size} on VOC 07+12."""
    return replace(get("ssd300_voc0712").resized(row.size), name=f"mynet{row.size}")
'''


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the registry after each test."""
    monkeypatch.setattr(registry, "_ENTRIES", dict(entries()))
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        if name.startswith("netgen_plugin_"):
            del sys.modules[name]


def plugin(folder: Path, text: str = PLUGIN) -> str:
    file = folder / "mynet.py"
    file.write_text(text)
    return str(file)


def test_a_plugin_adds_detectors_after_the_zoo(tmp_path: Path) -> None:
    before = list(entries())
    file = plugin(tmp_path)
    added = load_plugin(file)
    assert added == ["mynet_coco", "mynet300_voc0712", "mynet512_voc0712"]
    assert list(entries()) == [*before, *added]
    assert load_plugin(file) == [], "a second time it adds nothing"
    entry = entries()["mynet_coco"]
    assert entry.title == "MyNet on COCO: as large as SSD300."
    assert (entry.family, entry.paper) == ("mynet", "MyNet (Nobody et al. 2026).")
    assert entries()["mynet512_voc0712"].description == "MyNet512 on VOC 07+12."
    assert not set(added) & set(committed_ids())


def test_a_plugins_detectors_are_built_like_others(tmp_path: Path) -> None:
    load_plugin(plugin(tmp_path))
    ours = netgen.build("mynet512", "train")
    ssd = netgen.build("ssd300", "train", size=512)
    ours.name = ssd.name
    assert ours == ssd
    assert netgen.solver("mynet512").snapshot_prefix.startswith("runs/mynet512_voc0712/")
    with pytest.raises(CaffeError, match=r"did you mean 'mynet300"):
        get("mynet30")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = 1\nimport nowhere\n", 2, "ModuleNotFoundError: No module named 'nowhere'"),
        ("x = (\n", 1, "was never closed"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_broken_plugin_is_said_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    before = dict(entries())
    file = plugin(tmp_path, PLUGIN + text)
    line += PLUGIN.count("\n")
    with pytest.raises(ParseError, match=words) as error:
        load_plugin(file)
    assert str(error.value).startswith(f"{file}:{line}")
    assert entries() == before, "what it had registered is gone"


def test_plugins_that_register_nothing_new(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match=r"mynet\.py: registers no detector"):
        load_plugin(plugin(tmp_path, "x = 1\n"))
    again = PLUGIN.replace("mynet_coco", "ssd300_coco")
    with pytest.raises(CaffeError, match=r"'ssd300_coco' is registered twice: .*ssd\.py, .*mynet"):
        load_plugin(plugin(tmp_path, again))
    with pytest.raises(FileNotFoundError):
        load_plugin(str(tmp_path / "nowhere.py"))
    (tmp_path / "notes.txt").write_text(PLUGIN)
    with pytest.raises(ParseError, match=r"a plugin is a Python file"):
        load_plugin(str(tmp_path / "notes.txt"))


def test_a_recipe_has_the_id_that_it_is_registered_under(tmp_path: Path) -> None:
    load_plugin(plugin(tmp_path, PLUGIN.replace('name="mynet")', 'name="yournet")')))
    with pytest.raises(CaffeError, match=r"mynet\.py: detector 'mynet_coco' .* 'yournet_coco'"):
        get("mynet_coco")


def distribution(folder: Path, text: str) -> dict[str, str]:
    """An installed distribution with an entry point; the environment that sees it."""
    plugin(folder, text)
    info = folder / "mynet-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mynet\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[netgen.detectors]\nours = mynet\n")
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}


def listed(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netgen", "list"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_an_installed_distribution_adds_detectors(tmp_path: Path) -> None:
    done = listed(distribution(tmp_path, PLUGIN))
    assert done.returncode == 0, done.stderr
    last = [line.split()[0] for line in done.stdout.splitlines()[-3:]]
    assert last == ["mynet_coco", "mynet300_voc0712", "mynet512_voc0712"]


def test_a_broken_distribution_is_named(tmp_path: Path) -> None:
    done = listed(distribution(tmp_path, "import nowhere\n"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "entry point 'ours' of netgen.detectors, mynet: ModuleNotFoundError" in line


@pytest.mark.parametrize(
    ("pattern", "count", "first"),
    [("dssd*", 17, "dssd321_voc0712"), ("*_coco_release", 14, "ssd300_coco_release")],
)
def test_patterns(pattern: str, count: int, first: str) -> None:
    found = matching(pattern)
    assert (len(found), found[0]) == (count, first)
    assert found == [zoo_id for zoo_id in entries() if zoo_id in found], "in the papers' order"
    assert matching("*") == list(entries())


def test_a_pattern_that_nothing_matches() -> None:
    message = r"no detector matches 'ddsd321\*' \(did you mean 'dssd321"
    with pytest.raises(CaffeError, match=message):
        matching("ddsd321*")
    with pytest.raises(CaffeError, match=r"no detector matches 'xyz'; `netgen list`"):
        matching("xyz")


def test_the_order_is_the_papers_whatever_was_imported_first() -> None:
    code = (
        "import netgen.zoo.m2det\n"
        "from netgen.zoo.registry import PAPERS, entries\n"
        "found = [entry.family for entry in entries().values()]\n"
        "assert list(dict.fromkeys(found)) == list(PAPERS), found\n"
        "assert found == sorted(found, key=PAPERS.index)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
