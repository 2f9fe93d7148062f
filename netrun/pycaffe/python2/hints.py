"""Hints for errors in files that are not read as Python 2, though they have something of it."""

from __future__ import annotations

GONE = {
    "basestring": "str",
    "cPickle": "pickle",
    "ConfigParser": "configparser",
    "file": "open",
    "has_key": "in",
    "iteritems": "items",
    "iterkeys": "keys",
    "itervalues": "values",
    "long": "int",
    "Queue": "queue",
    "raw_input": "input",
    "reduce": "functools.reduce",
    "StringIO": "io.StringIO",
    "unichr": "chr",
    "unicode": "str",
    "urllib2": "urllib.request",
    "xrange": "range",
}


def hint(error: BaseException) -> str:
    """Say what to change in a script that only Python 2 understands.

    Returns "" for any other error.
    """
    if isinstance(error, SyntaxError):
        return _syntax_hint(error)
    no_integer = "'float' object cannot be interpreted as an integer"
    if isinstance(error, TypeError) and no_integer in str(error):
        return "; if this is Python 2: write // for a division of whole numbers"
    name = getattr(error, "name", None) or ""
    if name in GONE:
        return f"; this is Python 2: write {GONE[name]} for {name}"
    return ""


def _syntax_hint(error: SyntaxError) -> str:
    line = (error.text or "").strip()
    rewrites = "(2to3 or futurize rewrites a whole file)"
    if line.startswith("print ") or "print" in str(error.msg):
        return f"; this is Python 2: write print(...) with brackets {rewrites}"
    if "except " in line and "," in line:
        return f"; this is Python 2: write `except Error as e` {rewrites}"
    return ""
