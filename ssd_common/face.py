"""The face of a package: the names that `import package` offers, each loaded at its first use.

The names stand in the __init__.pyi beside the package's __init__.py, which type checkers read, one
a line: `from package.module import name as name`.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

_LINE = re.compile(r"^from (\S+) import (\S+) as \2$", re.MULTILINE)


class Face:
    """The names of a package, for its `__all__`, `__getattr__` and `__dir__`.

    No module loads before one of its names is asked for, so that `--help` waits for no library.

    modules: name → the module that has it, in the order of __init__.pyi.
    """

    def __init__(self, package: str, init: str) -> None:
        """Read the names.

        package: `__name__` of the package.
        init: `__file__` of the package, the path of its __init__.py.
        Raises OSError where __init__.pyi is missing.
        """
        self.package = package
        stub = Path(init).with_suffix(".pyi").read_text(encoding="utf-8")
        self.modules = {name: module for module, name in _LINE.findall(stub)}

    def load(self, name: str) -> Any:
        """Import a name's module and return what it has by that name: the package's `__getattr__`.

        Raises AttributeError for a name that the package does not offer.
        """
        if name not in self.modules:
            raise AttributeError(f"module '{self.package}' has no attribute '{name}'")
        module = importlib.import_module(self.modules[name])
        return getattr(module, name)

    def directory(self) -> list[str]:
        """Return the offered names and those that the package holds: its `__dir__`."""
        return sorted({*vars(sys.modules[self.package]), *self.modules})
