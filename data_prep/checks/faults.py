"""Every kind of fault that an annotated data set or an LMDB can have.

An error keeps a data set from being built. A warning is about something that the SSD fork's tools
write all the same. A note is only reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ssd_common.errors import printable

Severity = Literal["error", "warning", "mended", "note"]


class FaultKind(NamedTuple):
    """A kind of fault.

    severity: what it means for the build.
    title: heading of a group of them in a report, before their number.
    remedy: what a user can do about it.
    each: report every one, not only the first "and more like it".
    """

    severity: Severity
    title: str
    remedy: str = ""
    each: bool = False


_FIX = "--fix clip|drop leaves out the object"
_CLASSES = "another --labelmap, or --classes or --map"
FAULT_KINDS: Mapping[str, FaultKind] = {
    "image-missing": FaultKind("error", "missing images", each=True),
    "image-unreadable": FaultKind("error", "unreadable images", each=True),
    "name": FaultKind(
        "error",
        "names of files that are not UTF-8",
        "rename them: convmv -r -f CP1252 -t UTF-8 --notest FOLDER",
        each=True,
    ),
    "confined": FaultKind("error", "files outside the data set's folder", each=True),
    "annotation-missing": FaultKind("error", "missing annotations", each=True),
    "annotation-unreadable": FaultKind("error", "unreadable annotations", each=True),
    "unknown-class": FaultKind(
        "error",
        "objects of classes that the label map lacks",
        _CLASSES,
    ),
    "background-class": FaultKind("error", "objects of the background's class", _CLASSES),
    "normalised": FaultKind(
        "error",
        "boxes in fractions of the image, not in pixels",
        "--fix clip scales them, --fix drop leaves them out",
    ),
    "outside": FaultKind(
        "warning",
        "boxes outside their image",
        "--fix clip cuts them to it, --fix drop leaves them out",
    ),
    "inverted": FaultKind(
        "warning",
        "inverted boxes",
        "--fix clip puts their corners in order, --fix drop leaves them out",
    ),
    "empty": FaultKind("warning", "boxes without area", _FIX),
    "sub-pixel": FaultKind("warning", "boxes less than a pixel wide or high", _FIX),
    "duplicate": FaultKind("warning", "objects that are there twice", _FIX),
    "fraction": FaultKind(
        "warning",
        "boxes not in whole pixels",
        "kept as they are; the fork's tool reads 0",
    ),
    "no-class": FaultKind("error", "data sets without an object"),
    "unequal": FaultKind(
        "error",
        "records of another shape than the first",
        "--resize-width and --resize-height make them equal",
    ),
    "size": FaultKind(
        "warning",
        "annotations whose size is not their image's",
        "boxes are divided by the annotation's size",
    ),
    "leak": FaultKind("warning", "test images that are also training images"),
    "left-out": FaultKind(
        "warning",
        "annotations that are no box and no outline",
        "left out: points, masks, labels of whole images, …",
    ),
    "shared": FaultKind(
        "warning",
        "annotations that two images have",
        "keep one of the images, or give each its own name",
    ),
    "several": FaultKind(
        "warning",
        "objects with more than one box or name",
        "the last box and the first name are taken",
    ),
    "merged": FaultKind(
        "warning",
        "images that an annotation file names more than once",
        "their objects are put together",
    ),
    "reordered": FaultKind(
        "warning",
        "files of class names that contradict each other",
        "--names FILE takes another",
    ),
    "in-several": FaultKind(
        "warning",
        "lists with images that several annotation files have",
        "name the annotation file with --list, or put the files together",
    ),
    "stray": FaultKind("warning", "files with annotations of images that they do not list"),
    "superseded": FaultKind(
        "warning",
        "annotations of images that have a newer one",
        "left out",
    ),
    "mixed": FaultKind(
        "warning",
        "YOLO text files with both boxes and outlines",
        "a line of four numbers is a box, any longer one an outline",
    ),
    "orphan": FaultKind(
        "warning",
        "YOLO text files without an image",
        "left out",
        each=True,
    ),
    "file-name": FaultKind(
        "warning",
        "classes whose name is no file's name",
        "--map renames; netrun escapes them in result files, the fork writes none",
    ),
    "enclosed": FaultKind(
        "note",
        "outlines and turned boxes",
        "the upright box around each is taken",
    ),
    "group": FaultKind("note", "categories that are no classes", "left out"),
    "same-name": FaultKind("note", "categories of one name", "they are one class"),
    "numbered": FaultKind("note", "tables with numbers for classes", "--map gives them names"),
    "ignored": FaultKind("note", "regions that the data set tells to ignore", "left out"),
    "relocated": FaultKind(
        "note",
        "images that lie elsewhere than their annotation says",
        "the only image of that name is taken",
    ),
    "class-list": FaultKind(
        "note",
        "lists of one class",
        "--classes NAME leaves images without it out",
    ),
    "list-paths": FaultKind("note", "lists whose paths begin elsewhere"),
    "label-map": FaultKind(
        "note",
        "label maps of an earlier build",
        "--labelmap FILE takes another",
    ),
    "encoding": FaultKind(
        "note",
        "annotations in an encoding that they do not declare",
        "look at the names of classes; files saved as UTF-8 need no guess",
    ),
    "moved": FaultKind(
        "note",
        "folders and lists that are elsewhere than their file says",
        "--train-list and --test-list name others",
    ),
    "extension": FaultKind("note", "files whose name is another format's"),
    "grey": FaultKind("note", "grey images", "nets read them with force_color"),
    "alpha": FaultKind("note", "images with transparency", "nets read them with force_color"),
    "deep": FaultKind("note", "images with 16 bits a sample", "nets read them with force_color"),
    "colour": FaultKind("note", "images in colour", "nets read them with force_gray"),
    "upright": FaultKind("note", "images turned upright as EXIF says"),
    "unturned": FaultKind(
        "note",
        "images without their EXIF orientation, as their annotations are",
    ),
    "share": FaultKind("note", "draws that are not the share", "groups of images stay together"),
    "repeated": FaultKind("note", "images that are there more than once"),
    "elsewhere": FaultKind(
        "note",
        "images outside the data set's folder",
        "--confine refuses them",
    ),
    "no-objects": FaultKind("note", "images without objects"),
    "unannotated": FaultKind("note", "images without an annotation"),
    "rare-class": FaultKind("note", "classes that may be others misspelt"),
    "alike-class": FaultKind(
        "note",
        "classes whose names differ in capitals or separators alone",
        "--map makes one of them",
    ),
    "background-name": FaultKind(
        "note",
        "classes called as the background, which nets learn to detect as any other",
        "--classes NAMES leaves them out; label 0 is the background",
    ),
    "unused-class": FaultKind("note", "classes of the label map that occur in no image"),
    # The rest are faults of records in an LMDB.
    "bad-record": FaultKind("error", "records that are no AnnotatedDatum"),
    "bad-image": FaultKind("error", "images that cannot be decoded"),
    "bad-size": FaultKind("error", "images that are not of their datum's size"),
    "bad-label": FaultKind("error", "objects with a label that the label map lacks"),
    "bad-box": FaultKind("error", "boxes that are no numbers"),
    "count": FaultKind("error", "files beside the LMDB that do not fit it"),
    "not-difficult": FaultKind(
        "warning",
        "difficult objects, which the format cannot mark",
        "--format voc and coco can",
    ),
    "turned": FaultKind(
        "warning",
        "images whose EXIF orientation Caffe does not heed",
        "build again: data_prep turns them upright",
    ),
    "name-size": FaultKind(
        "note",
        "images that are not of the size in the name_size file",
        "as it is where the build resized them",
    ),
}


class Fault(NamedTuple):
    """One fault.

    kind: a key of FAULT_KINDS.
    place: `file:line`, a file or a key.
    message: what is wrong, in words.
    mended: what `--fix` does about it, "" if nothing.
    subject: faults of one kind and subject count as one in a short report.
    """

    kind: str
    place: str
    message: str
    mended: str = ""
    subject: str = ""

    @property
    def severity(self) -> Severity:
        """The severity of its kind, or "mended" where `--fix` makes it harmless."""
        if self.mended:
            return "mended"
        return FAULT_KINDS[self.kind].severity

    def __str__(self) -> str:
        words = [self.place, self.message, self.mended]
        return printable(": ".join(filter(None, words)))
