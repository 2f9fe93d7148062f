"""What an installation may lack: an extra's packages, or our netgen where another overwrote it."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

from ssd_common.errors import CaffeError

# Module → the name its users know it by. The extra `run` installs them all.
_OF_RUN = {
    "torch": "PyTorch",
    "cv2": "OpenCV",
    "h5py": "h5py",
    "lmdb": "lmdb",
    "matplotlib": "Matplotlib",
    "pooch": "pooch",
    "pycocotools": "pycocotools",
    "requests": "requests",
    "shtab": "shtab",
    "tqdm": "tqdm",
    "yaml": "PyYAML",
}
# The same for other extras: module → name, extra.
_OF_OTHERS = {"datumaro": ("Datumaro", "formats")}
# A line of netgen/__init__.py.
_MARK = '__project__ = "ssd-zoo"'


def missing_package(program: str, error: ModuleNotFoundError) -> str:
    """Say in one line which package a program needs and what installs it.

    error: what the import of the package raised.
    Raises the error itself where no extra installs its module.
    """
    module = (error.name or "").partition(".")[0]
    if module in _OF_OTHERS:
        name, extra = _OF_OTHERS[module]
        return f"{program} needs {name}: pip install 'ssd-zoo[{extra}]'"
    if module not in _OF_RUN:
        raise error
    return f"{program} needs {_OF_RUN[module]}: pip install 'ssd-zoo[run]'"


def require_own_netgen() -> None:
    """Raise CaffeError where `import netgen` would import another project's package.

    netgen-mesher installs a package and a command of the same name over ours. This
    check imports nothing of it. An installation without any netgen passes.
    """
    spec = importlib.util.find_spec("netgen")
    if spec is None or _MARK in _source(spec):
        return
    place = spec.origin or ", ".join(spec.submodule_search_locations or [])
    raise CaffeError(
        f"{place} is not ssd-zoo's netgen: netgen-mesher installs another package of that name."
        " Keep them in separate environments, or: pip uninstall netgen-mesher;"
        " pip install --force-reinstall --no-deps ssd-zoo"
    )


def _source(spec: ModuleSpec) -> str:
    """Return a module's source text, or "" where it has none."""
    get_source = getattr(spec.loader, "get_source", None)
    if get_source is None:
        return ""
    return get_source(spec.name) or ""
