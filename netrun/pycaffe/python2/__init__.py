"""Runs Python 2 files, such as most of pycaffe's scripts, with Python 2's meaning.

A file is Python 2 by what it has in it (marks.py); every other file runs as it is. Its text is
rewritten for Python 3's parser, line by line (lexer.py, syntax.py); operators and methods that mean
something else become calls (passes.py, leaks.py, operations.py, methods.py, classes.py); functions
and modules come from builtins that Python 2 files alone see (names.py, modules.py, files.py).

No library does this. lib2to3, gone from Python 3.13, and its copy fissix rewrite syntax: 7 / 2
stays 3.5 without a word. And a rewritten file is another file, whose lines are not the user's.
"""
