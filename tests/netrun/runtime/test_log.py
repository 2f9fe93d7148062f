"""glog's line format, the smoothed loss, and reading logs back."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from netrun.commands import flags
from netrun.runtime import log
from netrun.training.losses import LossWindow, NonFiniteLoss
from ssd_common.arguments import Parser
from tests.support import ROOT

GLOG = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+:\d+\] ")


@pytest.fixture
def ended():
    """No log goes on after the test."""
    yield
    for handler in list(log.logger.handlers):
        log.logger.removeHandler(handler)
        handler.close()
    log.logger.propagate = True
    log.logger.setLevel(logging.NOTSET)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: None) -> None:
    """Somebody called `me` runs `caffe` here; temporary files go to logs/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "logs"))
    monkeypatch.setattr(sys, "argv", ["/bin/caffe"])
    monkeypatch.setenv("USER", "me")


@pytest.fixture
def log_file(tmp_path: Path, ended: None) -> Path:
    path = tmp_path / "logs" / "train.log"
    log.setup(path)
    return path


def test_lines_are_glogs(log_file, capsys) -> None:
    log.info("Iteration 10, loss = 5.1", at="solver.cpp:243")
    log.warning("own words")
    logging.getLogger("netrun.data").warning("from elsewhere")
    lines = log_file.read_text().splitlines()
    assert capsys.readouterr().err.splitlines() == lines
    assert all(GLOG.match(line) for line in lines)
    assert [line[0] for line in lines] == ["I", "W", "W"]
    # awk '{print $9}' in Caffe's parse_log.sh
    assert lines[0].split()[3:] == ["solver.cpp:243]", "Iteration", "10,", "loss", "=", "5.1"]
    assert "test_log.py:" in lines[1]


def test_a_second_run_appends(log_file) -> None:
    log.info("one")
    log.setup(log_file)
    log.info("two")
    assert len(log_file.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "stderr", "file"),
    [
        ("caffe", "IWE", None),
        ("caffe -minloglevel 1 -v=1", "WE", None),
        ("GLOG_minloglevel=2 caffe", "E", None),
        ("GLOG_minloglevel=2 caffe --minloglevel=0", "IWE", None),
        ("GLOG_minloglevel= caffe", "IWE", None),
        ("caffe -minloglevel=4", "", None),
        ("caffe --log_dir=logs", "IWE", "IWE"),
        ("GLOG_log_dir=logs caffe -logtostderr", "IWE", None),
        ("GLOG_log_dir=logs GLOG_logtostderr=1 caffe", "IWE", None),
        ("GLOG_log_dir=logs GLOG_logtostderr=1 caffe --nologtostderr", "IWE", "IWE"),
        ("caffe --alsologtostderr=0 --log_dir logs", "E", "IWE"),
        ("caffe --noalsologtostderr -stderrthreshold=1 --log_dir logs -minloglevel=1", "WE", "WE"),
        ("caffe --noalsologtostderr --logtostderr", "IWE", None),
        ("caffe --noalsologtostderr", "E", "IWE"),  # in the folder for temporary files
    ],
)
@pytest.mark.usefixtures("folder")
def test_glogs_flags_do_what_they_do_there(
    words: str, stderr: str, file: str | None, capsys, monkeypatch
) -> None:
    environment, given = words.split("caffe")
    for name, value in (word.split("=") for word in environment.split()):
        monkeypatch.setenv(name, value)
    parser = Parser()
    flags.add_device(parser)
    flags.add_log(parser)
    flags.set_up(parser.parse_args(given.split()))
    log.info("one")
    log.warning("two")
    log.error("three")
    assert "".join(line[0] for line in capsys.readouterr().err.splitlines()) == stderr
    found = list(Path().glob("logs/*"))
    assert len(found) == (file is not None)
    if file is not None:
        assert re.fullmatch(
            rf"caffe\..+\.me\.log\.INFO\.\d{{8}}-\d{{6}}\.{os.getpid()}", found[0].name
        )
        assert "".join(line[0] for line in found[0].read_text().splitlines()) == file


def test_a_script_is_as_silent_as_glog_is_asked_to_be() -> None:
    script = (
        "import netrun as caffe; from netrun.runtime import log; log.warning('two'); "
        "log.error('three')"
    )
    environment = {**os.environ, "GLOG_minloglevel": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == "three\n"


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.001"), (1e-5, "1e-05"), (5.12345678, "5.12346"), (12.0, "12")]
)
def test_numbers_are_cpps(value: float, text: str) -> None:
    assert log.number(value) == text


def test_progress_speaks_on_no_terminal_only_now_and_then(log_file, monkeypatch) -> None:
    clock = iter([0.0, 30.0, 90.0, 100.0])
    monkeypatch.setattr(log.time, "monotonic", lambda: next(clock))
    with log.Progress(10, 100) as progress:
        for _ in range(3):
            progress.step()
    lines = log_file.read_text().splitlines()
    assert len(lines) == 1
    assert (
        "12 of 100, 45 s each, 1:06:00 left" in lines[0]
    )  # 2 iterations in 90 s; 88 to go: 3960 s


def test_smoothed_loss_is_the_mean_of_the_last() -> None:
    window = LossWindow(3)
    seen = []
    for loss in (3.0, 6.0, 9.0, 12.0, 0.0):
        window.push(torch.tensor(loss))
        seen.append(window.value())
    assert seen == pytest.approx([3, 4.5, 6, 9, 7])


def test_losses_read_late_count_the_same() -> None:
    window = LossWindow(2)
    for loss in (3.0, 6.0, 9.0):
        window.push(torch.tensor(loss))
    assert window.waiting == 3
    assert window.value() == pytest.approx(7.5)
    assert window.waiting == 0


def test_non_finite_loss_says_when() -> None:
    window = LossWindow(1)
    for loss in (1.0, float("nan"), 2.0):
        window.push(torch.tensor(loss))
    with pytest.raises(NonFiniteLoss) as caught:
        window.value()
    assert caught.value.passes_ago == 1
