# The names of the package, each from its module: __init__.py and type checkers read this list.
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
from data_prep.writers.export import export as export
from ssd_common.version import __version__ as __version__
