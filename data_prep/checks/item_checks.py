"""Checks one annotated image at a time. `check` and every build ask here, so that they agree."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from data_prep.checks.boxes import Fix, box_fault, fixed_box, is_normalised
from data_prep.checks.faults import Fault
from data_prep.images.encoding import COPIED, Encoding
from data_prep.images.image import EncodedImage, read_image
from data_prep.sources.source import Annotation, Item, Object, Source, Unreadable
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

T = TypeVar("T")


class Rules(NamedTuple):
    """What a data set is checked against; goes to every worker.

    labels: class to label
    labels_from: the file that they are from, for messages
    fix: what becomes of boxes at fault, None for nothing
    whole_pixels: the fork reads only whole numbers from this kind of annotation
    encoding: how images will be kept
    classification: annotations are labels of whole images
    """

    labels: Mapping[str, int]
    labels_from: str
    fix: Fix | None = None
    whole_pixels: bool = True
    encoding: Encoding = COPIED
    classification: bool = False


class Inspected(NamedTuple):
    """What reading one item gave.

    image, annotation: None where there is an error
    faults: everything that is wrong
    key: of the image file's content
    """

    image: EncodedImage | None
    annotation: Annotation | None
    faults: list[Fault]
    key: bytes = b""


Load = Callable[[str, Encoding, tuple[int, int]], EncodedImage]


def inspect(source: Source, item: Item, rules: Rules, load: Load = read_image) -> Inspected:
    """Read an item's image and annotation, and find everything that is wrong with them.

    rules: also say what becomes of boxes at fault
    load: reads the image
    Raises OSError where the machine is at fault, not the data set.
    """
    faults: list[Fault] = []
    found: list[Fault] = []
    file, named = os.path.join(source.root, item.image), source.file(item)
    read = _label if rules.classification else source.read
    annotation = _attempt(lambda: read(item), "annotation", named, item, found)
    stated = (0, 0)
    if annotation:
        stated = (annotation.width, annotation.height)
    image = _attempt(lambda: load(file, rules.encoding, stated), "image", file, item, faults)
    if image:
        faults += [Fault(kind, file, said) for kind, said in image.remarks]
    faults += found
    # Without either size nobody knows what is outside.
    if annotation and not rules.classification and (image or min(stated) > 0):
        size = stated
        if image:
            size = (image.width, image.height)
        whose = f" ({item.image})" if item.content is not None else ""
        annotation, found = examine(annotation, named, *size, rules, whose=whose)
        faults += found
    return Inspected(image, annotation, faults, fingerprint(image.data) if image else b"")


def _label(item: Item) -> Annotation:
    if not item.annotation.removeprefix("-").isdecimal() or abs(int(item.annotation)) >= 1 << 31:
        raise CaffeError(f"{item.image}: '{item.annotation}' is not a label, a whole number")
    return Annotation(0, 0, [])


def _attempt(
    read: Callable[[], T], what: str, file: str, item: Item, faults: list[Fault]
) -> T | None:
    try:
        return read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        fault = Fault(f"{what}-missing", file, f"no such {what}")
        if item.place:
            fault = Fault(f"{what}-missing", item.place, f"no {what} {file}")
        faults.append(fault)
    except CaffeError as error:
        listed = f" ({item.place})" if item.place else ""
        errors = error.errors if isinstance(error, Unreadable) else [error]
        faults += [Fault(f"{what}-unreadable", "", f"{one}{listed}") for one in errors]
    return None


def examine(
    annotation: Annotation, file: str, width: int, height: int, rules: Rules, *, whose: str = ""
) -> tuple[Annotation, list[Fault]]:
    """Check the objects of an annotation. Never raises.

    file: the annotation's, for messages
    width, height: of the image, in pixels
    whose: says in messages which image's it is, for a file that holds the annotations of many
    Returns the annotation, fixed as the rules say, and all that was wrong with it.
    """
    faults: list[Fault] = []
    stated = (annotation.width, annotation.height)
    if min(stated) <= 0:
        stated = (width, height)
    elif stated != (width, height):
        faults.append(_size_fault(stated, (width, height), f"{file}{whose}"))
    normalised = is_normalised(annotation.objects)
    kept: list[Object] = []
    seen: set[tuple] = set()
    for o in annotation.objects:
        if not rules.labels.get(o.name):
            faults.append(_class_fault(o, f"{file}:{o.line}{whose}", rules))
        found = box_fault(o, *stated, normalised, rules.whole_pixels)
        before = len(seen)
        seen.add(o[:1] + o[2:6])
        if len(seen) == before:
            found = "duplicate", "is there twice"
        if not found:
            kept.append(o)
            continue
        kind, said = found
        box, done = _fixed(o, kind, stated, rules.fix, seen)
        said = f"box {o.xmin} {o.ymin} {o.xmax} {o.ymax} of '{o.name}' {said}"
        faults.append(Fault(kind, f"{file}:{o.line}{whose}", said, done))
        if box:
            kept.append(box)
    if not kept:
        faults.append(Fault("no-objects", f"{file}{whose}", "no objects"))
    return annotation._replace(objects=kept), faults


def _size_fault(stated: tuple[int, int], size: tuple[int, int], place: str) -> Fault:
    """An annotation that states another size than its image's."""
    turned = " (turned: does it heed EXIF orientation?)" if stated == size[::-1] else ""
    said = f"says {stated[0]}x{stated[1]}, but the image is {size[0]}x{size[1]}{turned}"
    return Fault("size", place, said)


def _fixed(
    o: Object, kind: str, size: tuple[int, int], fix: Fix | None, seen: set[tuple]
) -> tuple[Object | None, str]:
    """What the rules make of an object at fault, as fixed_box.

    seen: the boxes so far; the new one is added
    """
    if not fix:
        return o, ""
    box, done = fixed_box(o, kind, *size, fix)
    if box and box != o:
        key = box[:1] + box[2:6]
        if key in seen:  # once cut, it is there twice
            box, done = None, "left out"
        seen.add(key)
    return box, done


def _class_fault(o: Object, place: str, rules: Rules) -> Fault:
    kind, said = "unknown-class", "is not in"
    if o.name in rules.labels:
        kind, said = "background-class", "is label 0, the background, in"
    near = suggest(o.name, set(rules.labels) - {o.name})
    message = f"class '{o.name}' {said} {rules.labels_from}{near}"
    return Fault(kind, place, message, subject=o.name)


def fingerprint(data: bytes) -> bytes:
    """What tells an image file's content from every other's: 16 bytes."""
    return hashlib.sha256(data).digest()[:16]
