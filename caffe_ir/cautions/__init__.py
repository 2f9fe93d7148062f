"""Cautions: what Caffe runs without an error, but with a result that is not the one meant.

Each caution is a line with the layer or field, what follows from it, and the right value.
`netgen check`, `netrun train` and `netrun test` print them; files at hand are read, missing ones
are not missed.
"""

from caffe_ir.cautions.coverage import coverage
from caffe_ir.cautions.net import of_net
from caffe_ir.cautions.solver import of_solver

__all__ = ["coverage", "of_net", "of_solver"]
