"""Completion, as bash does it: the printed script is read, and asked what it offers."""

from __future__ import annotations

import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from data_prep.cli import PROGRAM as DATA_PREP
from netgen.cli import PROGRAM as NETGEN
from netrun.cli import PROGRAM as NETRUN
from ssd_common.command import Program
from ssd_common.completion import installed_programs, script

ASK = """
source "$1"; shift
function=$(complete -p "$1" | sed -E 's/.*-F ([^ ]+) .*/\\1/')
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
"$function" "$1" "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Completion for bash: a file for each program."""
    folder = tmp_path_factory.mktemp("completion")
    for program in (NETRUN, NETGEN, DATA_PREP):
        (folder / program.name).write_text(script(program, "bash"))
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("netrun tr", ["train"]),
        ("netrun train --solv", ["--solver"]),
        ("netrun train --sigint-effect s", ["stop", "snapshot"]),
        ("netrun completion f", ["fish"]),
        ("netgen build ssd300 --tar", ["--target"]),
        ("netgen build dssd321_c", ["dssd321_coco"]),
        ("netgen build ssd300 --backbone r", ["resnet101"]),
        ("netgen summary x --phase de", ["deploy"]),
        ("data_prep check yo", ["yolo"]),
        ("data_prep check voc --train", ["--train-list"]),
    ],
)
def test_bash_completes(scripts: dict[str, Path], words: str, offered: list[str]) -> None:
    argv = words.split()
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", scripts[argv[0]], *argv],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == offered
    assert not done.stderr


def test_files_are_offered_for_files(scripts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").touch()
    words = ["netrun", "train", "--solver", str(tmp_path / "so")]
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", scripts["netrun"], *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(tmp_path / "solver.prototxt")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_command_prints_what_the_shell_accepts(shell: str, tmp_path: Path, capsys) -> None:
    assert NETRUN.main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert "sigint-effect" in printed
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    (tmp_path / "script").write_text(printed)
    subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_the_programs_of_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def points(name: str) -> object:
        assert name == "ssd-zoo"
        found = [("netrun", "netrun.cli:entry", "console_scripts"), ("x", "nowhere:x", "plugins")]
        return type("Installed", (), {"entry_points": [metadata.EntryPoint(*p) for p in found]})

    monkeypatch.setattr(metadata, "distribution", points)
    assert list(installed_programs()) == [NETRUN]


def test_a_checkout_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> object:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", nothing)
    assert list(installed_programs()) == []


def test_a_command_whose_packages_are_missing_completes_by_its_name(
    tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "needs_much.py").write_text("import not_installed_here")
    monkeypatch.syspath_prepend(tmp_path)
    tool = Program("tool", "A tool.", {"much": ("needs_much", "does much")})
    assert "much" in script(tool, "bash")
