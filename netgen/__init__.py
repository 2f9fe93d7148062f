"""netgen writes the nets, solvers and launch scripts of SSD-style detectors in Caffe's own files.

>>> import netgen
>>> net = netgen.build("fssd300_voc0712", "train")
>>> solver = netgen.solver("fssd300_voc0712", gpus=[0, 1])
>>> changed = netgen.write("fssd300_voc0712", gpus=[0, 1], out="runs/fssd300")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ssd_common.version import __version__ as __version__

if TYPE_CHECKING:
    from netgen.datasets import find_dataset as find_dataset
    from netgen.reports.card import card as card
    from netgen.reports.checks import check as check
    from netgen.reports.net_diff import diff as diff
    from netgen.reports.summary import summary as summary
    from netgen.zoo.configuration import build as build
    from netgen.zoo.configuration import configure as configure
    from netgen.zoo.configuration import solver as solver
    from netgen.zoo.configuration import write as write
    from netgen.zoo.registry import detectors as detectors

__project__ = "ssd-zoo"  # data_prep and netrun tell by it that this netgen is ours

# What a user imports, and its module, loaded when it is first asked for: `--help` answers at once.
_HOMES = {
    "build": "netgen.zoo.configuration",
    "card": "netgen.reports.card",
    "check": "netgen.reports.checks",
    "configure": "netgen.zoo.configuration",
    "detectors": "netgen.zoo.registry",
    "diff": "netgen.reports.net_diff",
    "find_dataset": "netgen.datasets",
    "solver": "netgen.zoo.configuration",
    "summary": "netgen.reports.summary",
    "write": "netgen.zoo.configuration",
}
__all__ = ["__version__"]
__all__ += list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'netgen' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
