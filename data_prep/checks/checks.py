"""What can be wrong with an annotated image, and what `--fix` mends of it. `check` and every build ask here, so that they agree.

An error keeps a data set from being built; a warning is about what the SSD fork's tools write all the same; a note is only told.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

from data_prep.images.image import COPIED, EncodedImage, Encoding, read_image
from data_prep.sources.source import Annotation, Item, Object, Source, Unreadable
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

T = TypeVar("T")

Severity = Literal["error", "warning", "mended", "note"]
Fix = Literal["clip", "drop"]


class Kind(NamedTuple):
    """A kind of fault. title: of a group of them in a report, before their number; remedy: what a user does about it.

    each: told one by one, not as one with "and more like it".
    """

    severity: Severity
    title: str
    remedy: str = ""
    each: bool = False


_FIX = "--fix clip|drop leaves out the object"
KINDS: Mapping[str, Kind] = {
    "image-missing": Kind("error", "missing images", each=True),
    "image-unreadable": Kind("error", "unreadable images", each=True),
    "annotation-missing": Kind("error", "missing annotations", each=True),
    "annotation-unreadable": Kind("error", "unreadable annotations", each=True),
    "unknown-class": Kind("error", "objects of classes that the label map lacks", "another --labelmap, or --classes or --map"),
    "background-class": Kind("error", "objects of the background's class", "another --labelmap, or --classes or --map"),
    "normalised": Kind("error", "boxes in fractions of the image, not in pixels", "--fix clip scales them, --fix drop leaves them out"),
    "outside": Kind("warning", "boxes outside their image", "--fix clip cuts them to it, --fix drop leaves them out"),
    "inverted": Kind("warning", "inverted boxes", "--fix clip puts their corners in order, --fix drop leaves them out"),
    "empty": Kind("warning", "boxes without area", _FIX),
    "sub-pixel": Kind("warning", "boxes less than a pixel wide or high", _FIX),
    "duplicate": Kind("warning", "objects that are there twice", _FIX),
    "fraction": Kind("warning", "boxes not in whole pixels", "kept as they are; the fork's tool reads 0"),
    "no-class": Kind("error", "data sets without an object"),
    "unequal": Kind("error", "records of another shape than the first", "--resize-width and --resize-height make them equal"),
    "size": Kind("warning", "annotations whose size is not their image's", "boxes are divided by the annotation's size"),
    "leak": Kind("warning", "test images that are also training images"),
    "extension": Kind("note", "files whose name is another format's"),
    "grey": Kind("note", "grey images", "nets read them with force_color"),
    "alpha": Kind("note", "images with transparency", "nets read them with force_color"),
    "deep": Kind("note", "images with 16 bits a sample", "nets read them with force_color"),
    "colour": Kind("note", "images in colour", "nets read them with force_gray"),
    "upright": Kind("note", "images turned upright as EXIF says"),
    "unturned": Kind("note", "images without their EXIF orientation, as their annotations are"),
    "repeated": Kind("note", "images that are there more than once"),
    "no-objects": Kind("note", "images without objects"),
    "unannotated": Kind("note", "images without an annotation"),
    "rare-class": Kind("note", "classes that may be others misspelt"),
    "unused-class": Kind("note", "classes of the label map that occur in no image"),
    # of records in an LMDB
    "bad-record": Kind("error", "records that are no AnnotatedDatum"),
    "bad-image": Kind("error", "images that cannot be decoded"),
    "bad-size": Kind("error", "images that are not of their datum's size"),
    "bad-label": Kind("error", "objects with a label that the label map lacks"),
    "bad-box": Kind("error", "boxes that are no numbers"),
    "count": Kind("error", "files beside the LMDB that do not fit it"),
    "turned": Kind("warning", "images whose EXIF orientation Caffe does not heed", "build again: data_prep turns them upright"),
    "name-size": Kind("note", "images that are not of the size in the name_size file", "as it is where the build resized them"),
}


class Fault(NamedTuple):
    """One fault. kind: of KINDS; place: `file:line`, a file or a key; mended: what `--fix` does about it, "" if nothing.

    subject: faults of a kind and a subject count as one in a short report.
    """

    kind: str
    place: str
    message: str
    mended: str = ""
    subject: str = ""

    @property
    def severity(self) -> Severity:
        """Of its kind; what is mended does no harm any more."""
        return "mended" if self.mended else KINDS[self.kind].severity

    def __str__(self) -> str:
        return (f"{self.place}: " if self.place else "") + self.message + (f": {self.mended}" if self.mended else "")


class Rules(NamedTuple):
    """What a data set is checked against; goes to every worker. labels: class to label; labels_from: their file, for messages.

    fix: what is mended, None for nothing. whole_pixels: the fork reads only whole numbers from this kind of annotation.
    encoding: how images will be kept. classification: annotations are labels of whole images.
    """

    labels: Mapping[str, int]
    labels_from: str
    fix: Fix | None = None
    whole_pixels: bool = True
    encoding: Encoding = COPIED
    classification: bool = False


class Inspected(NamedTuple):
    """What reading one item gave. image, annotation: None where there is an error; key: of the image file's content."""

    image: EncodedImage | None
    annotation: Annotation | None
    faults: list[Fault]
    key: bytes = b""


Load = Callable[[str, Encoding, tuple[int, int]], EncodedImage]


def inspect(source: Source, item: Item, rules: Rules, load: Load = read_image) -> Inspected:
    """Read an item's image and annotation, mended as the rules say, and all that is wrong with them. load: reads the image.

    Raises OSError where the machine is at fault, not the data set.
    """
    faults: list[Fault] = []
    found: list[Fault] = []
    file, named = os.path.join(source.root, item.image), source.file(item)
    read = (lambda: _label(item)) if rules.classification else (lambda: source.read(item))
    annotation = _attempt(read, "annotation", named, item, found)
    stated = (annotation.width, annotation.height) if annotation else (0, 0)
    image = _attempt(lambda: load(file, rules.encoding, stated), "image", file, item, faults)
    faults += [Fault(kind, file, said) for kind, said in (image.remarks if image else ())] + found
    if annotation and not rules.classification and (image or min(stated) > 0):  # else nobody knows what is outside
        size = (image.width, image.height) if image else stated
        whose = f" ({item.image})" if item.content is not None else ""
        annotation, found = examine(annotation, named, *size, rules, whose=whose)
        faults += found
    return Inspected(image, annotation, faults, fingerprint(image.data) if image else b"")


def _label(item: Item) -> Annotation:
    if not item.annotation.removeprefix("-").isdecimal() or abs(int(item.annotation)) >= 1 << 31:
        raise CaffeError(f"{item.image}: '{item.annotation}' is not a label, a whole number")
    return Annotation(0, 0, [])


def _attempt(read: Callable[[], T], what: str, file: str, item: Item, faults: list[Fault]) -> T | None:
    try:
        return read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        place, said = (item.place, f"no {what} {file}") if item.place else (file, f"no such {what}")
        faults.append(Fault(f"{what}-missing", place, said))
    except CaffeError as error:
        listed = f" ({item.place})" if item.place else ""
        errors = error.errors if isinstance(error, Unreadable) else [error]
        faults += [Fault(f"{what}-unreadable", "", f"{one}{listed}") for one in errors]
    return None


def examine(annotation: Annotation, file: str, width: int, height: int, rules: Rules, *, whose: str = "") -> tuple[Annotation, list[Fault]]:
    """The annotation, mended as the rules say, and all that was wrong with it.

    file: the annotation's, for messages; whose: says there which image's it is, for a file that holds those of many;
    width, height: the image's, in pixels. Never raises.
    """
    faults: list[Fault] = []
    stated = (annotation.width, annotation.height)
    if min(stated) <= 0:
        stated = (width, height)
    elif stated != (width, height):
        turned = " (turned: does it heed EXIF orientation?)" if stated == (height, width) else ""
        faults.append(Fault("size", f"{file}{whose}", f"says {stated[0]}x{stated[1]}, but the image is {width}x{height}{turned}"))
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
        mended, done = mend(o, found[0], *stated, rules.fix) if rules.fix else (o, "")
        if mended and mended != o:
            if (box := mended[:1] + mended[2:6]) in seen:
                mended, done = None, "left out"  # once cut, it is there twice
            seen.add(box)
        faults.append(Fault(found[0], f"{file}:{o.line}{whose}", f"box {o.xmin} {o.ymin} {o.xmax} {o.ymax} of '{o.name}' {found[1]}", done))
        if mended:
            kept.append(mended)
    if not kept:
        faults.append(Fault("no-objects", f"{file}{whose}", "no objects"))
    return annotation._replace(objects=kept), faults


def _class_fault(o: Object, place: str, rules: Rules) -> Fault:
    known = o.name in rules.labels
    said = f"class '{o.name}' " + ("is label 0, the background, in" if known else "is not in") + f" {rules.labels_from}"
    near = suggest(o.name, set(rules.labels) - {o.name})
    return Fault("background-class" if known else "unknown-class", place, said + near, subject=o.name)


def is_normalised(objects: list[Object]) -> bool:
    """Whether the boxes of an image are in fractions of it: none goes far beyond 1, and some number is no whole one."""
    if not objects or any(o.xmax >= 2 or o.ymax >= 2 for o in objects):  # nearly all images end with their first box
        return False
    numbers = [x for o in objects for x in o[2:6]]
    return max(numbers) < 2 and any(x != int(x) for x in numbers)


def box_fault(o: Object, width: int, height: int, normalised: bool = False, whole_pixels: bool = True) -> tuple[str, str] | None:
    """Kind and words of what is wrong with a box in an image of this size; None if nothing is.

    Outside and inverted are the fork's own warnings, in its order.
    """
    if normalised:
        return "normalised", "is in fractions of the image, not in pixels"
    xmin, ymin, xmax, ymax = o[2:6]
    if not (0 <= xmin < xmax <= width and 0 <= ymin < ymax <= height and xmax - xmin >= 1 and ymax - ymin >= 1):
        if min(xmin, ymin, xmax, ymax) < 0 or max(xmin, xmax) > width or max(ymin, ymax) > height:
            return "outside", f"is outside the image of {width}x{height}"
        if xmin > xmax or ymin > ymax:
            return "inverted", "is inverted"
        if xmin == xmax or ymin == ymax:
            return "empty", "is without area"
        return "sub-pixel", "is less than a pixel wide or high"
    if whole_pixels and float in (type(xmin), type(ymin), type(xmax), type(ymax)):
        return "fraction", "is not in whole pixels (kept as it is; the fork's tool reads 0)"
    return None


def mend(o: Object, kind: str, width: int, height: int, fix: Fix) -> tuple[Object | None, str]:
    """The mended object, None where it is left out, and what was done in words; ("" and itself for what is kept).

    clip: fractions are scaled to pixels, corners put in order, the box cut to the image; what then has no area of a pixel,
    and what is there twice, is left out. drop: everything at fault is left out.
    """
    if kind == "fraction":
        return o, ""
    if fix == "drop" or kind == "duplicate":
        return None, "left out"
    xs, ys = sorted((o.xmin, o.xmax)), sorted((o.ymin, o.ymax))
    if kind == "normalised":
        xs, ys = [x * width for x in xs], [y * height for y in ys]
    xmin, xmax = (min(max(x, 0), width) for x in xs)
    ymin, ymax = (min(max(y, 0), height) for y in ys)
    if xmax - xmin < 1 or ymax - ymin < 1:
        return None, "left out"
    done = {"normalised": "scaled to", "inverted": "corners put in order:"}.get(kind, "cut to")
    return o._replace(xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax), f"{done} {xmin} {ymin} {xmax} {ymax}"


def fingerprint(data: bytes) -> bytes:
    """What tells an image file's content from every other's: 16 bytes."""
    return hashlib.sha256(data).digest()[:16]
