"""Finds modules of a repository's own python/caffe/, which Caffe would import as caffe.NAME."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from netrun.pycaffe.python2 import importing
from netrun.runtime import log


class OwnModules:
    """Looks on sys.path, then in CAFFE_ROOT, then in the script's repository.

    script: a file of that repository, or a folder.
    """

    def __init__(self, script: str = "") -> None:
        self.script = script
        self._logged: set[str] = set()

    def find(self, name: str) -> ModuleSpec | None:
        """Find the module `caffe.x`, and log once which file it is; None where there is none."""
        for folder in self._folders():
            spec = PathFinder.find_spec(name, [os.path.abspath(os.path.join(folder, "caffe"))])
            if spec is not None and spec.origin is not None:
                self._log(f"{name} is the repository's own, {spec.origin}")
                importing.as_python2(spec)
                return spec
        return None

    def _log(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            log.info(text)

    def advice(self, module: str) -> str:
        """Say where a module should lie to be found."""
        return (
            f"a repository's own is python/caffe/{module}.py of CAFFE_ROOT, of a folder above "
            "the script, or of a caffe on PYTHONPATH"
        )

    def _folders(self) -> Iterator[str]:
        yield from sys.path
        root = os.environ.get("CAFFE_ROOT")
        if root:
            yield os.path.join(root, "python")
        beside = _repository(Path(self.script).resolve())
        if beside is not None:
            yield str(beside / "python")


def _repository(script: Path) -> Path | None:
    """The nearest folder above a script that has python/caffe.

    Folders of another user than the script's do not count: anybody can write to /tmp.
    """
    owner = script.stat().st_uid
    for folder in (script, *script.parents):
        package = folder / "python/caffe"
        if package.is_dir() and package.stat().st_uid == owner:
            return folder
    return None
