"""The formats in which LMDBs are written out.

Importing this package registers every format: a new one is one file here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from data_prep.writers.formats.format import Format, registered

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

FORMATS: Mapping[str, Format] = registered()
