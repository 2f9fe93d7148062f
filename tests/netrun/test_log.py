"""glog's line format, the smoothed loss, and reading logs back."""

from __future__ import annotations

import logging
import re

import pytest
import torch

from netrun import log
from netrun.losses import LossWindow, NonFiniteLoss

GLOG = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+:\d+\] ")


@pytest.fixture
def log_file(tmp_path):
    path = tmp_path / "logs" / "train.log"
    log.setup(path)
    yield path
    for handler in list(log.logger.handlers):
        log.logger.removeHandler(handler)
        handler.close()
    log.logger.propagate = True


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


@pytest.mark.parametrize(("value", "text"), [(0.001, "0.001"), (1e-5, "1e-05"), (5.12345678, "5.12346"), (12.0, "12")])
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
    assert "12 of 100, 45 s each, 1:06:00 left" in lines[0]  # 2 iterations in 90 s; 88 to go: 3960 s


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
