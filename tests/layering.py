"""How the house is laid out: packages, rooms inside them, and who may import whom.

`MAY_IMPORT` and `FLOORS` are the plan; the functions read the imports of a checkout and hold them
against it. An import inside a function, under TYPE_CHECKING, or by importlib with a name spelt out
counts like one at the top of a file.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from tests.support import ROOT

PACKAGES = ("ssd_common", "caffe_ir", "netgen", "data_prep", "netrun")

# What a package may import beside the standard library and itself.
# "=name" is another package's face alone: `import name`, not a module of it.
MAY_IMPORT = {
    "ssd_common": {"numpy", "cv2", "shtab"},
    "caffe_ir": {"ssd_common", "google", "numpy"},
    # typing_extensions for type checkers alone, which bring it along.
    "netgen": {"ssd_common", "caffe_ir", "google", "typing_extensions"},
    "data_prep": {
        "ssd_common",
        "caffe_ir",
        "=netgen",
        "google",
        "numpy",
        "lmdb",
        "cv2",
        "tqdm",
        "matplotlib",
        "pycocotools",
        "pooch",
        "requests",
        "datumaro",
        "distributed",
        "pillow_heif",
        "yaml",
    },
    "netrun": {
        "ssd_common",
        "caffe_ir",
        "google",
        "numpy",
        "lmdb",
        "h5py",
        "cv2",
        "torch",
        "tqdm",
        "matplotlib",
        "pycocotools",
        "pydot",
    },
}
# Modules that one file of a package alone may import.
ONE_FILE_ONLY = {
    ("ssd_common", "cv2"): "ssd_common/pictures.py",
    ("ssd_common", "shtab"): "ssd_common/completion.py",
    ("data_prep", "datumaro"): "data_prep/sources/datumaro.py",
}
# Rooms from the ground up: each imports only from the lines before its own.
FLOORS = {
    "netrun": (
        ("runtime",),
        ("weights", "detection"),
        ("data",),
        ("layers",),
        ("engine",),
        ("evaluation",),
        ("training",),
        ("export", "report", "plots"),
        ("pycaffe",),
        ("commands",),
    ),
    "data_prep": (
        ("images", "archives"),
        ("sources",),
        ("checks",),
        ("build",),
        ("statistics", "shapes", "download", "writers"),
        ("commands",),
    ),
}
FACE = "the face"  # __init__, __main__, cli: they stand at the very top, and nobody imports them
FACE_FILES = ("__init__", "__main__", "cli")
SCHEMA = "the schema"  # generated, at the very bottom
TOP_ROOM = "the top folder"  # the package's own files beside its face
_DOTTED = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")


@dataclass(frozen=True)
class Import:
    """One import: file and line, the package and room that it stands in, and the module named."""

    place: str
    package: str
    room: str
    module: str


def imports(package: str) -> Iterator[Import]:
    """Every import of a package's files but the standard library's."""
    for path in _files(package):
        relative = path.relative_to(ROOT)
        room = _room(_dotted(relative))
        for line, module in _modules_named(path):
            if module.partition(".")[0] not in sys.stdlib_module_names:
                yield Import(f"{relative}:{line}", package, room, module)


def not_allowed(one: Import) -> str | None:
    """Why an import breaks the plan, in a line; None where it does not."""
    top = one.module.split(".")[0]
    if top != one.package:
        return _not_allowed_outside(one, top)
    there = _room(one.module)
    if there in (one.room, SCHEMA) or one.room == FACE:
        return None
    if there == FACE:
        return f"{one.place}: imports the package's face, {one.module}"
    height = {room: i for i, floor in enumerate(FLOORS.get(one.package, ())) for room in floor}
    if not height:
        return None
    if one.room not in height or there not in height:
        return f"{one.place}: {one.room} or {there} has no floor"
    if height[there] >= height[one.room]:
        return f"{one.place}: {one.room} imports upwards, {one.module}"
    return None


def _not_allowed_outside(one: Import, top: str) -> str | None:
    allowed = MAY_IMPORT[one.package]
    if top not in allowed and f"={one.module}" not in allowed:
        return f"{one.place}: {one.package} may not import {one.module}"
    only = ONE_FILE_ONLY.get((one.package, top))
    if only and not one.place.startswith(f"{only}:"):
        return f"{one.place}: only {only} imports {top}"
    return None


def circles(package: str) -> list[str]:
    """Pairs of a package's rooms that import each other, straight or through others."""
    reached: dict[str, set[str]] = defaultdict(set)
    for one in imports(package):
        if one.module.split(".")[0] != package or one.room == FACE:
            continue
        there = _room(one.module)
        if there not in (one.room, SCHEMA, FACE):
            reached[one.room].add(there)
    while any([_extend(reached, room) for room in list(reached)]):
        pass
    pairs = combinations(sorted(reached), 2)
    return [f"{package}: {a} and {b}" for a, b in pairs if b in reached[a] and a in reached[b]]


def _extend(reached: dict[str, set[str]], room: str) -> bool:
    """Add what the rooms that a room reaches reach themselves. Returns whether that was new."""
    before = len(reached[room])
    for other in list(reached[room]):
        reached[room] |= reached.get(other, set())
    return len(reached[room]) > before


def _files(package: str) -> list[Path]:
    """A package's own code, without the generated schema and what netgen writes beside nets."""
    return [
        path
        for path in sorted((ROOT / package).rglob("*"))
        if path.suffix in (".py", ".pyi")
        and not path.stem.endswith("_pb2")
        and path.parent.name != "python_layers"
    ]


def _dotted(relative: Path) -> str:
    return ".".join(relative.with_suffix("").parts).removesuffix(".__init__")


def _room(module: str) -> str:
    """The room of a module: its folder in the package, the top folder, the face or the schema."""
    package, *rest = module.split(".")
    if not rest or rest[0] in FACE_FILES:
        return FACE
    if rest[0].endswith("_pb2"):
        return SCHEMA
    return rest[0] if (ROOT / package / rest[0]).is_dir() else TOP_ROOM


def _is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _modules_named(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of every import, and of every string that spells a module of ours."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                yield node.lineno, _imported(node.module or "", alias.name)
        elif isinstance(node, ast.Constant) and _spells_module(node.value):
            yield node.lineno, node.value


def _imported(module: str, name: str) -> str:
    whole = f"{module}.{name}"
    if whole.partition(".")[0] in PACKAGES and _is_module(whole):
        return whole
    return module


def _spells_module(value: object) -> bool:
    return isinstance(value, str) and bool(_DOTTED.fullmatch(value)) and _is_module(value)
