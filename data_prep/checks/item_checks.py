"""Checks one annotated image at a time, for `check` and for every build, so that they agree."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from data_prep.checks.boxes import Fix, box_fault, corners, fixed_box, is_normalised
from data_prep.checks.confinement import confined, elsewhere
from data_prep.checks.faults import Fault
from data_prep.images.encoding import COPIED, Encoding
from data_prep.images.image import EncodedImage, read_image
from data_prep.sources.source import Annotation, Item, Object, Source, Unreadable
from ssd_common.errors import CaffeError
from ssd_common.files import is_utf8
from ssd_common.suggest import suggest

T = TypeVar("T")

# Why one file cannot be opened, while others can: links in a circle, a name too long, permissions.
_OF_THE_FILE = (errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)


class Rules(NamedTuple):
    """The rules that a data set is checked against; every worker gets them.

    labels: class to label.
    labels_from: the file of the label map, for messages.
    fix: how to fix boxes at fault; None keeps them.
    whole_pixels: the fork reads only whole numbers from this kind of annotation.
    encoding: how records keep images.
    classification: annotations are labels of whole images.
    confine: refuse images and annotations outside the data set's folder.
    """

    labels: Mapping[str, int]
    labels_from: str
    fix: Fix | None = None
    whole_pixels: bool = True
    encoding: Encoding = COPIED
    classification: bool = False
    confine: bool = False


class Inspected(NamedTuple):
    """One item, read and checked.

    image, annotation: None where there is an error.
    faults: everything that is wrong.
    key: checksum of the image's content, b"" where it cannot be read.
    """

    image: EncodedImage | None
    annotation: Annotation | None
    faults: list[Fault]
    key: bytes = b""


Load = Callable[[str, Encoding, tuple[int, int]], EncodedImage]


def inspect(
    source: Source,
    item: Item,
    rules: Rules,
    load: Load = read_image,
    known: Annotation | None = None,
) -> Inspected:
    """Read an item's image and annotation, and find everything that is wrong with them.

    rules: what they are checked against, and how boxes at fault are fixed.
    load: reads the image.
    known: the annotation, where it was read before.
    Raises OSError where the machine is at fault, not the data set.
    """
    file = os.path.join(source.root, item.image)
    if not (is_utf8(item.image) and is_utf8(item.annotation)):
        fault = Fault("name", file, "the name of the image or of its annotation is not UTF-8")
        return Inspected(None, None, [fault])
    image_faults: list[Fault] = []
    annotation_faults: list[Fault] = []
    if rules.confine:
        outside = confined(source, item)
        if outside:
            return Inspected(None, None, [outside])
    read = source.read
    if rules.classification:
        read = _read_label
    annotation_file = source.file(item)
    annotation = known or _attempt(
        lambda: read(item),
        "annotation",
        annotation_file,
        item,
        annotation_faults,
    )
    size = (0, 0)
    if annotation:
        size = (annotation.width, annotation.height)
    stated = size
    image = _attempt(lambda: load(file, rules.encoding, stated), "image", file, item, image_faults)
    key = b""
    if image:
        image_faults += [Fault(kind, file, message) for kind, message in image.remarks]
        size = (image.width, image.height)
        key = checksum(image.data)
    noted = elsewhere(source, item.image)
    if noted:
        image_faults.append(noted)
    faults = image_faults + annotation_faults
    # Where neither file states a size, nobody knows which boxes are outside.
    if annotation and not rules.classification and (image or min(size) > 0):
        image_note = ""
        if item.content is not None:
            image_note = f" ({item.image})"
        annotation, box_faults = examine(
            annotation, annotation_file, *size, rules, image_note=image_note
        )
        faults += box_faults
    return Inspected(image, annotation, faults, key)


def _read_label(item: Item) -> Annotation:
    """Check the label of an item for classification. Raises CaffeError where it is no number."""
    text = item.annotation
    if not text.removeprefix("-").isdecimal() or abs(int(text)) >= 1 << 31:
        raise CaffeError(f"{item.image}: '{text}' is not a label, a whole number")
    return Annotation(0, 0, [])


def _attempt(
    read: Callable[[], T],
    what: str,
    file: str,
    item: Item,
    faults: list[Fault],
) -> T | None:
    """Return what read returns, or None where it fails, and add the reason to the faults.

    what: "image" or "annotation".
    file: the one that read opens, for messages.
    """
    try:
        return read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        fault = Fault(f"{what}-missing", file, f"no such {what}")
        if item.place:
            fault = Fault(f"{what}-missing", item.place, f"no {what} {file}")
        faults.append(fault)
    except Unreadable as error:
        faults += [_unreadable(what, one, item) for one in error.errors]
    except CaffeError as error:
        faults.append(_unreadable(what, error, item))
    except OSError as error:
        if error.errno not in _OF_THE_FILE:
            raise
        faults.append(_unreadable(what, CaffeError(f"{file}: {error.strerror}"), item))
    return None


def _unreadable(what: str, error: CaffeError, item: Item) -> Fault:
    message = str(error)
    if item.place:
        message += f" ({item.place})"
    return Fault(f"{what}-unreadable", "", message)


def examine(
    annotation: Annotation,
    file: str,
    width: int,
    height: int,
    rules: Rules,
    *,
    image_note: str = "",
) -> tuple[Annotation, list[Fault]]:
    """Check the objects of an annotation. Never raises.

    file: the annotation's, for messages.
    width, height: of the image, in pixels.
    image_note: names the image in messages, where one file holds the annotations of many.
    Returns the annotation, fixed as the rules say, and everything that was wrong with it.
    """
    faults: list[Fault] = []
    stated = (annotation.width, annotation.height)
    if min(stated) <= 0:
        stated = (width, height)
    elif stated != (width, height):
        faults.append(_size_fault(stated, (width, height), f"{file}{image_note}"))
    for kind, line, message, subject, _ in annotation.remarks:
        faults.append(Fault(kind, f"{file}:{line}{image_note}", message, subject=subject))
    normalised = is_normalised(annotation.objects)
    kept: list[Object] = []
    seen: set[tuple] = set()
    near = _near_classes(annotation.objects, rules.labels)
    for o in annotation.objects:
        if o.name in near:
            place = f"{file}:{o.line}{image_note}"
            faults.append(_class_fault(o, place, rules, near[o.name]))
        found = box_fault(o, *stated, normalised, rules.whole_pixels)
        before = len(seen)
        seen.add(o[:1] + o[2:6])
        if len(seen) == before:
            found = "duplicate", "is there twice"
        if not found:
            kept.append(o)
            continue
        kind, words = found
        box, done = _fixed(o, kind, stated, rules.fix, seen)
        message = f"box {corners(o)} of '{o.name}' {words}"
        faults.append(Fault(kind, f"{file}:{o.line}{image_note}", message, done))
        if box:
            kept.append(box)
    if not kept:
        faults.append(Fault("no-objects", f"{file}{image_note}", "no objects"))
    return annotation._replace(objects=kept), faults


def _size_fault(stated: tuple[int, int], size: tuple[int, int], place: str) -> Fault:
    """Describe an annotation that states another size than its image has.

    stated, size: (width, height) in pixels.
    """
    message = f"says {stated[0]}x{stated[1]}, but the image is {size[0]}x{size[1]}"
    if stated == size[::-1]:
        message += " (turned: does it heed EXIF orientation?)"
    return Fault("size", place, message)


def _fixed(
    o: Object,
    kind: str,
    size: tuple[int, int],
    fix: Fix | None,
    seen: set[tuple],
) -> tuple[Object | None, str]:
    """Fix an object at fault, and drop it where its new box occurs already.

    size: (width, height) of the image, in pixels.
    seen: class and corners of the objects so far; the new ones are added.
    Returns what fixed_box returns.
    """
    if not fix:
        return o, ""
    box, done = fixed_box(o, kind, *size, fix)
    if box and box != o:
        key = box[:1] + box[2:6]
        if key in seen:
            return None, "left out"
        seen.add(key)
    return box, done


def _class_fault(o: Object, place: str, rules: Rules, near: str) -> Fault:
    """Describe an object whose class the label map lacks, or has as the background.

    near: names the nearest other class.
    """
    kind = "unknown-class"
    problem = "is not in"
    if o.name in rules.labels:
        kind = "background-class"
        problem = "is label 0, the background, in"
    message = f"class '{o.name}' {problem} {rules.labels_from}{near}"
    return Fault(kind, place, message, subject=o.name)


def _near_classes(objects: Sequence[Object], labels: Mapping[str, int]) -> dict[str, str]:
    """Return words that name the nearest other class, for each class without a label above 0."""
    unknown = {o.name for o in objects if not labels.get(o.name)}
    if not unknown:
        return {}
    known = tuple(labels)
    return {name: _near_class(name, known) for name in unknown}


@lru_cache(maxsize=4096)
def _near_class(name: str, known: Sequence[str]) -> str:
    """Name the nearest other class; many images have objects of the same wrong one."""
    return suggest(name, [other for other in known if other != name])


def checksum(data: bytes) -> bytes:
    """Return a few bytes that hardly any two images have in common, but some different ones may."""
    return zlib.crc32(data).to_bytes(4, "big") + len(data).to_bytes(8, "big")
