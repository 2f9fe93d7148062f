"""The names of average precision's versions, as a solver's ap_version has them."""

from __future__ import annotations

AP_VERSIONS = ("11point", "MaxIntegral", "Integral")
