"""netgen writes the nets, solvers and launch scripts of SSD-style detectors in Caffe's own files.

>>> import netgen
>>> net = netgen.build("fssd300_voc0712", "train")
>>> solver = netgen.solver("fssd300_voc0712", gpus=[0, 1])
>>> changed = netgen.write("fssd300_voc0712", gpus=[0, 1], out="runs/fssd300")

`__init__.pyi` lists every name.
"""

from __future__ import annotations

from ssd_common.face import Face

__project__ = "ssd-zoo"  # data_prep and netrun recognise our netgen by it

_FACE = Face(__name__, __file__)
__all__ = list(_FACE.modules)
__getattr__ = _FACE.load
__dir__ = _FACE.directory
