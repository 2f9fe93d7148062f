# The names of the package, each from its module: __init__.py and type checkers read this list.
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
from ssd_common.version import __version__ as __version__
