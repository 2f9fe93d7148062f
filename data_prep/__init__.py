"""Turns annotated photographs into the annotated LMDBs that Caffe's SSD fork and netrun read.

>>> import data_prep
>>> photographs = data_prep.open_source("voc", "PHOTOS")
>>> print(data_prep.check(photographs))
>>> train, test = data_prep.build(photographs, "data/mine", test_share=0.2)

`__init__.pyi` lists every name.
"""

from __future__ import annotations

import importlib

from ssd_common.face import Face

_FACE = Face(__name__, __file__)
__all__ = list(_FACE.modules)
__getattr__ = _FACE.load
__dir__ = _FACE.directory

# Two folders share their names with functions, and Python binds a folder's name when it first loads
# it. Loading both now and dropping the names leaves these to the functions: `data_prep.build(...)`.
for _folder in ("build", "shapes"):
    importlib.import_module(f"data_prep.{_folder}")
    del globals()[_folder]
