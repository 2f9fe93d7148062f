"""The registry of detectors: those of this folder, of plugins and of installed distributions.

A zoo id is `<detector><size>_<dataset>`, the paper's detector; `<id>_release` is what the authors
released where that differs. Detectors are registered by the files of this folder, by a plugin
(`load_plugin`), and by modules that an installed distribution names in its entry-point group
`netgen.detectors`:

    from netgen.zoo.registry import detector

    @detector()
    def mydet300_voc0712() -> Recipe:
        '''MyDet300 on VOC 07+12: `netgen list` shows this line.'''
        return replace(get("ssd300_voc0712"), name="mydet300")
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import netgen.zoo as package
from netgen.names import full_id
from netgen.recipe import Recipe
from netgen.zoo.docstrings import card_text, paper_text
from ssd_common.errors import CaffeError, ParseError
from ssd_common.suggest import suggest

GROUP = "netgen.detectors"  # entry points
# The zoo's files in the order of `netgen list`; a file that is not named here comes last.
PAPERS = ("ssd", "resnet", "dssd", "fssd", "mobilenet", "m2det", "dsod", "ppn", "shapes")

Maker = Callable[..., Recipe]


@dataclass(frozen=True)
class Entry:
    """A registered detector.

    description: text of its docstring; `netgen list` shows the first paragraph.
    committed: its files are committed in prototxt/.
    module: name of the module that defines it, whose docstring is about the paper.
    make: makes its recipe.
    """

    id: str
    description: str
    committed: bool
    module: str
    make: Callable[[], Recipe]

    @property
    def title(self) -> str:
        """The description's first paragraph, on one line."""
        return " ".join(self.description.partition("\n\n")[0].split("\n"))

    @property
    def family(self) -> str:
        """Name of the file that defines it: "ssd", "fssd", …"""
        return self.module.rpartition(".")[-1]

    @property
    def paper(self) -> str:
        """Text of the file's docstring: the paper, and how the release differs."""
        return paper_text(inspect.getdoc(sys.modules[self.module]) or "")

    def recipe(self) -> Recipe:
        """Return its recipe.

        Raises CaffeError for a recipe of another id.
        """
        recipe = self.make()
        if recipe.id != self.id:
            where = sys.modules[self.module].__file__
            raise CaffeError(f"{where}: detector '{self.id}' gives a recipe called '{recipe.id}'")
        return recipe


_ENTRIES: dict[str, Entry] = {}


def detector(*, committed: bool = False, rows: Sequence[Any] = ()) -> Callable[[Maker], Maker]:
    """Return a decorator that registers a function's recipe.

    Without rows the function takes no arguments, its name is the zoo id and its docstring the
    description.

    committed: the detector's files are committed in prototxt/.
    rows: rows of a table, each with an `id`. The function takes a row and is registered once for
        each; {row.…} in its docstring stands for a row's attributes.

    Raises CaffeError for an id that is registered already.
    """

    def register(function: Maker) -> Maker:
        docstring = inspect.getdoc(function) or ""
        if not rows:
            _add(_entry(function, committed, docstring))
        for row in rows:
            _add(_row_entry(function, row, docstring))
        return function

    return register


def _entry(function: Maker, committed: bool, docstring: str) -> Entry:
    return Entry(
        id=function.__name__,
        description=card_text(docstring),
        committed=committed,
        module=function.__module__,
        make=function,
    )


def _row_entry(function: Maker, row: Any, docstring: str) -> Entry:
    return Entry(
        id=row.id,
        description=card_text(docstring.format(row=row)),
        committed=False,
        module=function.__module__,
        make=lambda: function(row),
    )


def _add(entry: Entry) -> None:
    known = _ENTRIES.get(entry.id)
    if known is not None:
        files = [sys.modules[module].__file__ for module in (known.module, entry.module)]
        raise CaffeError(f"detector '{entry.id}' is registered twice: {files[0]}, {files[1]}")
    _ENTRIES[entry.id] = entry


def entries() -> dict[str, Entry]:
    """Return every detector by zoo id: the zoo's, in the papers' order, then all others."""
    _load_all()
    return _ENTRIES


@cache
def _load_all() -> None:
    found = {info.name for info in pkgutil.iter_modules(package.__path__)}
    names = [*PAPERS, *sorted(found.difference(PAPERS))]
    modules = [f"netgen.zoo.{name}" for name in names]
    for module in modules:
        importlib.import_module(module)
    _arrange(modules)
    for point in entry_points(group=GROUP):
        _load_entry_point(point)


def _arrange(modules: Sequence[str]) -> None:
    """Order the detectors by module, whichever was imported first."""
    places = {module: place for place, module in enumerate(modules)}
    arranged = sorted(_ENTRIES.values(), key=lambda entry: places.get(entry.module, len(places)))
    _ENTRIES.clear()
    _ENTRIES.update({entry.id: entry for entry in arranged})


def _load_entry_point(point: EntryPoint) -> None:
    try:
        point.load()
    except CaffeError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise CaffeError(f"entry point '{point.name}' of {GROUP}, {point.value}: {why}") from error


def load_plugin(path: str) -> list[str]:
    """Run a Python file that registers detectors.

    Returns the zoo ids that it adds, none where it was loaded before.
    Raises ParseError with file and line where the file fails, OSError where it is missing,
    CaffeError where it registers no detector.
    """
    before = set(entries())
    file = Path(path).resolve()
    name = f"netgen_plugin_{abs(hash(file)):x}.{file.stem}"
    if name in sys.modules:
        return []
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ParseError(path, "a plugin is a Python file, with the ending .py")
    Path(path).read_bytes()  # a missing plugin is an OSError; a file that it misses is not
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        _forget(name)
        raise _plugin_error(path, file, error) from error
    added = [zoo_id for zoo_id in _ENTRIES if zoo_id not in before]
    if not added:
        _forget(name)
        raise CaffeError(f"{path}: registers no detector; see netgen.zoo.registry.detector")
    return added


def _forget(module: str) -> None:
    """Drop a module that failed, and the detectors that it registered."""
    del sys.modules[module]
    for zoo_id, entry in list(_ENTRIES.items()):
        if entry.module == module:
            del _ENTRIES[zoo_id]


def _plugin_error(path: str, file: Path, error: Exception) -> CaffeError:
    """Return the error of a plugin with its file and, where known, the line."""
    if isinstance(error, CaffeError):
        return error
    if isinstance(error, SyntaxError):
        return ParseError(path, str(error.msg), error.lineno, error.offset)
    calls = traceback.extract_tb(error.__traceback__)
    lines = [call.lineno for call in calls if call.filename == str(file)]
    line = lines[-1] if lines else None
    return ParseError(path, f"{type(error).__name__}: {error}", line)


def committed_ids() -> list[str]:
    """Return the ids whose files are committed in prototxt/, in the order of the papers."""
    return [entry.id for entry in entries().values() if entry.committed]


def matching(pattern: str) -> list[str]:
    """Return the ids that a pattern such as "dssd*" matches, in the order of the papers.

    Raises CaffeError with the nearest id where none matches.
    """
    found = [zoo_id for zoo_id in entries() if fnmatchcase(zoo_id, pattern)]
    if not found:
        near = suggest(pattern.strip("*"), entries())
        raise CaffeError(f"no detector matches '{pattern}'{near}; `netgen list` shows them all")
    return found


def detectors(*patterns: str) -> list[Entry]:
    """Return the detectors whose ids match one of the patterns, in the order of the papers.

    patterns: such as "dssd*"; none for all detectors.
    Raises CaffeError with the nearest id for a pattern that matches none.
    """
    wanted: set[str] = set()
    for pattern in patterns or ("*",):
        wanted.update(matching(pattern))
    return [entry for zoo_id, entry in entries().items() if zoo_id in wanted]


def resolve(name: str) -> str:
    """Return the zoo id that a name means, see `full_id`.

    Raises CaffeError with the nearest id for an unknown name.
    """
    return full_id(name, entries())


def get(name: str) -> Recipe:
    """Return the recipe of a zoo id or short name.

    Raises CaffeError with the nearest id for an unknown name.
    """
    return entries()[resolve(name)].recipe()
