"""What the commands do, as functions: `import data_prep` is all that a script needs."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import data_prep
from data_prep.cli import main
from data_prep.sources import KINDS
from ssd_common.errors import CaffeError
from ssd_common.version import __version__
from tests.data_prep.support import records
from tests.support import ROOT


def test_build_writes_what_the_command_writes(folder: Path, tmp_path: Path) -> None:
    source = data_prep.open_source("voc", folder)
    parts = data_prep.build(source, tmp_path / "function", test_share=0.4, shuffle=True, seed=3)
    argv = ["voc", str(folder), "--out", str(tmp_path / "command")]
    main([*argv, "--test-share", "0.4", "--shuffle", "--seed", "3"])
    assert [part.lmdb.name for part in parts] == ["train_lmdb", "test_lmdb"]
    assert [len(part.items) for part in parts] == [2, 1]
    for name in ("train_lmdb", "test_lmdb"):
        assert records(tmp_path / "function" / name) == records(tmp_path / "command" / name)
    written = json.loads((tmp_path / "function/dataset.json").read_text())
    assert written["name"] == "function"


def test_one_lmdb_with_other_records(folder: Path, tmp_path: Path) -> None:
    encoding = data_prep.Encoding(resize_height=10, resize_width=20)
    output = data_prep.Output(encoding, shards=3)
    source = data_prep.select(data_prep.open_source("voc", str(folder)), classes=["cat"])
    (part,) = data_prep.build(source, str(tmp_path / "lmdb"), output=output)
    assert part.shape == (3, 10, 20)
    assert len(list((tmp_path / "lmdb").iterdir())) == 3


def test_check_verify_stats_and_show(folder: Path, tmp_path: Path) -> None:
    source = data_prep.open_source("voc", folder)
    found = data_prep.check(source)
    assert (found.images, found.objects, found.report.failed) == ({"images": 3}, {"cat": 3}, False)
    assert str(found) == "images: 3 images; 3 objects: cat 3"
    (part,) = data_prep.build(source, tmp_path / "a/lmdb")
    verified = data_prep.verify(part.lmdb)
    assert (verified.records, verified.objects, verified.report.counts()) == (3, {1: 3}, {})
    of_lmdb = data_prep.stats(part.lmdb)
    of_source = data_prep.stats(source)
    assert str(of_lmdb) == str(of_source) == str(data_prep.stats([part.lmdb]))
    of_source.draw(tmp_path / "stats.svg")
    data_prep.show(part.lmdb, tmp_path / "sheet.png", count=2)
    # Two tiles of 240 pixels in a row, with 6 pixels around each.
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (252, 498, 3)


def test_a_check_says_all_and_raises_nothing(folder: Path) -> None:
    (folder / "JPEGImages/1.jpg").unlink()
    found = data_prep.check(data_prep.open_source("voc", folder))
    assert found.report.failed
    assert found.report.counts() == {"error": {"image-missing": 1}}


def test_shapes_are_where_they_are_said_to_be(tmp_path: Path) -> None:
    train, test = data_prep.shapes(tmp_path / "shapes", train=3, test=2, size=64)
    assert train.lmdb == (tmp_path / "shapes/train_lmdb").resolve()
    assert [len(records(part.lmdb)) for part in (train, test)] == [3, 2]


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("vco", {}, "no kind 'vco' (did you mean 'voc'?)"),
        ("voc", {"levle": "easy"}, "voc has no option 'levle'"),
        ("kitti", {"levle": "easy"}, "kitti has no option 'levle' (did you mean 'level'?)"),
        (
            "kitti",
            {"level": "esay"},
            "level: 'esay' is not one of easy, moderate, hard, all (did you mean 'easy'?)",
        ),
    ],
)
def test_wrong_kinds_and_options(kind: str, options: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(CaffeError) as error:
        data_prep.open_source(kind, tmp_path, **options)
    assert str(error.value) == said


def test_the_options_of_a_kind_are_its_flags(tmp_path: Path) -> None:
    """Every option has the default that the function behind it has, too."""
    for kind in KINDS.values():
        for option in kind.options:
            assert option.help
            assert option.choices is None or option.default in option.choices
            parameter = inspect.signature(kind.open).parameters[option.name]
            assert parameter.default == option.default


def test_a_set_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match=r"no data set 'voc0721' \(did you mean 'voc0712'\?\)"):
        data_prep.fetch("voc0721", out=tmp_path)
    with pytest.raises(
        CaffeError, match=r"no data set 'voc071' of a paper \(did you mean 'voc0712'"
    ):
        data_prep.paper("voc071", tmp_path)


def test_anothers_netgen_is_named(tmp_path: Path) -> None:
    """netgen-mesher installs a package of the same name: no bare ImportError comes of it."""
    (tmp_path / "netgen").mkdir()
    (tmp_path / "netgen/__init__.py").write_text("raise ImportError('libngcore')")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import data_prep\n"
        "from ssd_common.errors import CaffeError\n"
        "def stats(): data_prep.stats(sys.argv[1], nets=['ssd300'])\n"
        "def paper(): data_prep.paper('voc0712', sys.argv[1])\n"
        "for call in (stats, paper):\n"
        "    try: call()\n"
        "    except CaffeError as error: print(error)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    stats, paper = done.stdout.splitlines()
    assert stats == paper
    assert stats.startswith(f"{tmp_path}/netgen/__init__.py is not ssd-zoo's netgen: ")


def test_functions_and_rooms_of_one_name() -> None:
    """data_prep.build is the function, whatever was imported before; its modules import, too."""
    script = (
        "from data_prep.build import dataset; from data_prep.shapes import textures;"
        "import data_prep; import data_prep.build.workers;"
        "assert callable(data_prep.build) and callable(data_prep.shapes)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_everything_that_is_offered_is_there() -> None:
    assert data_prep.__version__ == __version__
    for name in data_prep.__all__:
        assert getattr(data_prep, name) is not None
        assert name in dir(data_prep)
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        data_prep.biuld  # noqa: B018
    assert importlib.import_module("data_prep.build").__doc__


def test_help_waits_for_no_library() -> None:
    """A command's help imports neither OpenCV, NumPy nor protobuf: they take most of the time."""
    words = [[], *([name] for name in ("voc", "annoset", "paper", "fetch", "show", "verify"))]
    words += [["check", "coco"], ["stats", "lmdb"]]
    slow = ("cv2", "numpy", "google.protobuf", "lmdb", "tqdm")
    script = (
        "import sys; from data_prep.cli import main\n"
        f"for words in {words}:\n"
        "    try: main([*words, '--help'])\n"
        "    except SystemExit: pass\n"
        f"print([m for m in {slow} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
