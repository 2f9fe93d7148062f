"""The detectors that netgen knows: the zoo's own, and those that others bring.

A zoo id is `<detector><size>_<dataset>`, what the paper prints; `<id>_release` is what the authors
released where that differs. A file of this folder, a plugin (`load_plugin`) or a module that an
installed distribution names in its entry-point group `netgen.detectors` registers detectors:

    from netgen.zoo.registry import detector

    @detector()
    def mydet300_voc0712() -> Recipe:
        '''MyDet300 on VOC 07+12: the first line stands in `netgen list`.'''
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
from ssd_common.errors import CaffeError, ParseError
from ssd_common.suggest import suggest

GROUP = "netgen.detectors"  # of entry points
# The papers in the order that `netgen list` has; a file that is not named here comes after them.
PAPERS = ("ssd", "resnet", "dssd", "fssd", "mobilenet", "m2det", "dsod", "ppn", "shapes")

Maker = Callable[..., Recipe]


@dataclass(frozen=True)
class Entry:
    """A registered detector.

    card: what its docstring says; its first line stands in `netgen list`.
    committed: its files are committed in prototxt/.
    module: where it is defined; the module's docstring is about the paper.
    make: makes its recipe.
    """

    id: str
    card: str
    committed: bool
    module: str
    make: Callable[[], Recipe]

    @property
    def title(self) -> str:
        """The card's first paragraph, on one line."""
        return " ".join(self.card.partition("\n\n")[0].split("\n"))

    @property
    def family(self) -> str:
        """The file that it is from: "ssd", "fssd", …"""
        return self.module.rpartition(".")[-1]

    @property
    def paper(self) -> str:
        """What holds for every detector of the file: the paper, how it and the release differ."""
        return inspect.getdoc(sys.modules[self.module]) or ""

    def recipe(self) -> Recipe:
        """Return its recipe. Raises CaffeError where that has another id."""
        recipe = self.make()
        if recipe.id != self.id:
            where = sys.modules[self.module].__file__
            raise CaffeError(f"{where}: detector '{self.id}' gives a recipe called '{recipe.id}'")
        return recipe


_ENTRIES: dict[str, Entry] = {}


def detector(*, committed: bool = False, rows: Sequence[Any] = ()) -> Callable[[Maker], Maker]:
    """Register what a function returns: a decorator.

    Without rows the function takes no arguments, its name is the zoo id and its docstring the card.
    committed: its files are committed in prototxt/.
    rows: of a table, each with an `id`; the function takes one, and its docstring is the card of
        all of them, where {row.…} stands for what a row has.
    Raises CaffeError for an id that is registered already.
    """

    def register(function: Maker) -> Maker:
        card = inspect.getdoc(function) or ""
        if not rows:
            _add(Entry(function.__name__, card, committed, function.__module__, function))
        for row in rows:
            _add(_row_entry(function, row, card))
        return function

    return register


def _row_entry(function: Maker, row: Any, card: str) -> Entry:
    return Entry(row.id, card.format(row=row), False, function.__module__, lambda: function(row))


def _add(entry: Entry) -> None:
    known = _ENTRIES.get(entry.id)
    if known is not None:
        files = [sys.modules[module].__file__ for module in (known.module, entry.module)]
        raise CaffeError(f"detector '{entry.id}' is registered twice: {files[0]}, {files[1]}")
    _ENTRIES[entry.id] = entry


def entries() -> dict[str, Entry]:
    """Return every detector by zoo id, in the order of the papers, then those of others."""
    _load_all()
    return _ENTRIES


@cache
def _load_all() -> None:
    found = {info.name for info in pkgutil.iter_modules(package.__path__)}
    modules = [f"netgen.zoo.{name}" for name in (*PAPERS, *sorted(found.difference(PAPERS)))]
    for module in modules:
        importlib.import_module(module)
    _arrange(modules)
    for point in entry_points(group=GROUP):
        _load_entry_point(point)


def _arrange(modules: Sequence[str]) -> None:
    """Put the detectors into the order of the modules, whichever was imported first."""
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
    Raises ParseError with file and line where it fails, OSError where it is missing, CaffeError
    where it registers none.
    """
    before = set(entries())
    file = Path(path).resolve()
    name = f"netgen_plugin_{abs(hash(file)):x}.{file.stem}"
    if name in sys.modules:
        return []
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ParseError(path, "a plugin is a Python file, with the ending .py")
    Path(path).read_bytes()  # a missing file is told from one that misses another
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
    """Drop a module that failed, and what it registered."""
    del sys.modules[module]
    for zoo_id in [i for i, entry in _ENTRIES.items() if entry.module == module]:
        del _ENTRIES[zoo_id]


def _plugin_error(path: str, file: Path, error: Exception) -> CaffeError:
    if isinstance(error, CaffeError):
        return error
    if isinstance(error, SyntaxError):
        return ParseError(path, str(error.msg), error.lineno, error.offset)
    calls = traceback.extract_tb(error.__traceback__)
    lines = [call.lineno for call in calls if call.filename == str(file)]
    return ParseError(path, f"{type(error).__name__}: {error}", lines[-1] if lines else None)


def committed_ids() -> list[str]:
    """Return the ids whose files are committed in prototxt/, in the order of the papers."""
    return [entry.id for entry in entries().values() if entry.committed]


def matching(pattern: str) -> list[str]:
    """Return the ids that a pattern such as "dssd*" matches, in the order of the papers.

    Raises CaffeError with the nearest id where there is none.
    """
    found = [zoo_id for zoo_id in entries() if fnmatchcase(zoo_id, pattern)]
    if not found:
        near = suggest(pattern.strip("*"), entries())
        raise CaffeError(f"no detector matches '{pattern}'{near}; `netgen list` shows them all")
    return found


def resolve(name: str) -> str:
    """Return the zoo id that a name means (see `full_id`). Raises CaffeError with the nearest id."""
    return full_id(name, entries())


def get(name: str) -> Recipe:
    """Return the recipe of a zoo id or short name (see `resolve`)."""
    return entries()[resolve(name)].recipe()
