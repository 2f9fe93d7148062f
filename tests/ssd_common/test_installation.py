"""What is said where a package, or our netgen, is not there."""

from __future__ import annotations

import pytest

from ssd_common.command import run_command
from ssd_common.installation import missing_package, require_own_netgen


def lacking(module: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named '{module}'", name=module)


def test_a_missing_package_names_its_extra() -> None:
    assert (
        missing_package("netrun", lacking("torch"))
        == "netrun needs PyTorch: pip install 'ssd-zoo[run]'"
    )
    assert (
        missing_package("data_prep", lacking("cv2.dnn"))
        == "data_prep needs OpenCV: pip install 'ssd-zoo[run]'"
    )
    assert (
        missing_package("data_prep datumaro", lacking("datumaro"))
        == "data_prep datumaro needs Datumaro: pip install 'ssd-zoo[formats]'"
    )


def test_any_other_missing_module_keeps_its_traceback() -> None:
    """A user's script that imports what it has not, say."""
    with pytest.raises(ModuleNotFoundError, match="my_layers"):
        missing_package("netrun", lacking("my_layers"))


def test_a_program_ends_with_that_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: object) -> int:
        raise lacking("lmdb")

    assert run_command("data_prep", main, []) == 1
    assert (
        capsys.readouterr().err
        == "data_prep: error: data_prep needs lmdb: pip install 'ssd-zoo[run]'\n"
    )


def test_our_netgen_passes() -> None:
    require_own_netgen()
