"""Turns annotated photographs into the annotated LMDBs that Caffe's SSD fork and netrun read.

>>> import data_prep
>>> photographs = data_prep.open_source("voc", "PHOTOS")
>>> print(data_prep.check(photographs))
>>> train, test = data_prep.build(photographs, "data/mine", test_share=0.2)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_prep.build.build import build as build
    from data_prep.build.check import check as check
    from data_prep.build.output import Output as Output
    from data_prep.build.papers import paper as paper
    from data_prep.build.verify import verify as verify
    from data_prep.checks.report import Report as Report
    from data_prep.download.fetch import fetch as fetch
    from data_prep.images.encoding import Encoding as Encoding
    from data_prep.shapes.shapes import shapes as shapes
    from data_prep.sources import open_source as open_source
    from data_prep.sources.selection import select as select
    from data_prep.statistics.contact_sheet import show as show
    from data_prep.statistics.stats import stats as stats
    from ssd_common.version import __version__ as __version__

# What a user imports, by module. A module loads at first use, so that `--help` answers at once.
_MODULES = {
    "Encoding": "data_prep.images.encoding",
    "Output": "data_prep.build.output",
    "Report": "data_prep.checks.report",
    "__version__": "ssd_common.version",
    "build": "data_prep.build.build",
    "check": "data_prep.build.check",
    "fetch": "data_prep.download.fetch",
    "open_source": "data_prep.sources",
    "paper": "data_prep.build.papers",
    "select": "data_prep.sources.selection",
    "shapes": "data_prep.shapes.shapes",
    "show": "data_prep.statistics.contact_sheet",
    "stats": "data_prep.statistics.stats",
    "verify": "data_prep.build.verify",
}
__all__ = list(_MODULES)

# Two folders share their names with functions, and Python binds a folder's name when it first loads
# it. Loading both now and dropping the names leaves these to the functions: `data_prep.build(...)`.
for _folder in ("build", "shapes"):
    importlib.import_module(f"data_prep.{_folder}")
    del globals()[_folder]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'data_prep' has no attribute '{name}'")
    module = importlib.import_module(_MODULES[name])
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
