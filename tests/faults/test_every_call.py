"""Every call that changes a file may fail, and the power may go at any: old or new, never half.

Each command runs once for every call and every way to fail. What a crash may leave follows from the
calls of one run, and a model of the disk. After each of them, the same command, or one that
resumes, must come to the same end as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import data, nets, training
from tests.faults.runs import Runner
from tests.faults.scenario import Trial

SCENARIOS = (
    training.binary_snapshots,
    training.hdf5_snapshots,
    training.other_snapshots,
    training.result_file,
    training.hdf5_output,
    data.one_lmdb,
    data.exported,
    data.replaced_dataset,
    nets.written_files,
)


@pytest.fixture(scope="module", params=[*SCENARIOS, data.fetched], ids=lambda f: f.__name__)
def trial(
    request: pytest.FixtureRequest,
    runner: Runner,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Trial]:
    """A command that has run without a fault."""
    folder = tmp_path_factory.mktemp("trial") / "run"
    if request.param is data.fetched:
        with data.fetched() as scenario:
            yield Trial(scenario, runner, folder)
    else:
        yield Trial(request.param(runner), runner, folder)


def test_what_is_done_is_on_the_disk(trial: Trial) -> None:
    assert not trial.model_faults()


def test_every_call_may_fail(trial: Trial) -> None:
    assert not trial.error_faults()


def test_the_power_may_go_at_any_call(trial: Trial) -> None:
    assert not trial.crash_faults()
