"""The names of average precision's versions, as in a solver's ap_version."""

from __future__ import annotations

AP_VERSIONS = ("11point", "MaxIntegral", "Integral")
