"""Flags and arguments of the kinds of data sets, made from what each kind declares."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.sources import KINDS, open_source
from data_prep.sources.guess import other_kinds
from data_prep.sources.selection import class_names, select
from data_prep.sources.source import Source
from ssd_common.errors import CaffeError, UsageError


def add_source(parser: argparse.ArgumentParser, kind: str) -> None:
    """Add the argument for a data set's folder, and the flags that only its kind has."""
    found = KINDS[kind]
    text = f"{found.folder}, or a .zip or .tar of it"
    parser.add_argument("folder", metavar="DIR", type=Path, help=text)
    for option in found.options:
        action = "store"
        if option.repeated:
            action = "append"
        parser.add_argument(
            option.flag or f"--{option.name.replace('_', '-')}",
            action=action,
            dest=option.name,
            help=option.help,
            type=option.type,
            metavar=option.metavar,
            choices=option.choices,
            default=option.default,
        )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add flags that choose among the classes of a data set."""
    parser.add_argument(
        "--classes",
        metavar="NAMES",
        help="only objects of these classes, in this order of labels: person,car",
    )
    parser.add_argument(
        "--map",
        metavar="FILE",
        help="other names for classes: lines `name or label,new label,new name` as in the fork's"
        " coco_voc_map.txt, or `name,new name`; objects of classes that are not in it are left out."
        " coco_voc: VOC's classes of COCO",
    )
    empty = parser.add_mutually_exclusive_group()
    empty.add_argument(
        "--keep-empty",
        action="store_const",
        const="keep",
        dest="empty",
        help="keep images that --classes or --map leave without an object (default: left out;"
        " images that had none before are kept, as the fork's tools do)",
    )
    empty.add_argument(
        "--drop-empty",
        action="store_const",
        const="drop",
        dest="empty",
        help="leave out all images without an object",
    )


@contextmanager
def other_kinds_named(args: argparse.Namespace, kind: str) -> Iterator[None]:
    """Inside the block, errors say what the folder looks like, if it is not of the chosen kind."""
    try:
        yield
    except UsageError:
        raise
    except CaffeError as error:
        found = other_kinds(kind, args.folder)
        if found and found not in str(error):
            error.args = (f"{error} (looks like: {found})",)
        raise


def opened(args: argparse.Namespace, kind: str) -> Source:
    """Open the data set that the flags of add_source and add_selection name.

    Raises UsageError for impossible names of classes, CaffeError where it cannot be read.
    """
    classes = class_names(args.classes)
    options = {option.name: getattr(args, option.name) for option in KINDS[kind].options}
    labelmap = getattr(args, "labelmap", None)
    source = open_source(kind, args.folder, labelmap=labelmap, **options)
    return select(source, classes=classes, class_map=args.map, empty=args.empty)
