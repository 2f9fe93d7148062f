"""VOC: an XML file for each image, and a list of names for each split."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from data_prep.checks.faults import Fault
from data_prep.sources.fields import is_whole
from data_prep.writers.formats import pixels
from data_prep.writers.formats.classes import Classes
from data_prep.writers.formats.format import Box, Format, Photo, register

IMAGES = "JPEGImages"
ANNOTATIONS = "Annotations"
SETS = "ImageSets/Main"
CLASSES = "labelmap.txt"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class Voc:
    """Writes JPEGImages, Annotations, ImageSets/Main and labelmap.txt."""

    def __init__(self, root: Path, classes: Classes) -> None:
        self._root = root
        self._classes = classes
        self._lists: dict[str, list[str]] = {}
        self._split = ""
        for folder in (IMAGES, ANNOTATIONS, SETS):
            (root / folder).mkdir(parents=True)

    def begin(self, split: str) -> None:
        """Begin a split."""
        self._split = split
        self._lists[split] = []

    def add(self, photo: Photo) -> list[Fault]:
        """Write an image and its XML. Returns a fault for each box not in whole pixels."""
        stem = Path(photo.name).stem
        (self._root / IMAGES / photo.name).write_bytes(photo.data)
        root, faults = self._annotation(photo)
        ElementTree.indent(root, "\t")
        text = BytesIO()
        ElementTree.ElementTree(root).write(text, encoding="utf-8")
        (self._root / ANNOTATIONS / f"{stem}.xml").write_bytes(text.getvalue() + b"\n")
        self._lists[self._split].append(_listed(photo.name, stem))
        return faults

    def _annotation(self, photo: Photo) -> tuple[Element, list[Fault]]:
        """Return the XML of an image, and what the fork's reader makes of its boxes."""
        root = Element("annotation")
        _add(root, "folder", IMAGES)
        _add(root, "filename", photo.name)
        size = SubElement(root, "size")
        _add(size, "width", photo.width)
        _add(size, "height", photo.height)
        _add(size, "depth", photo.channels)
        _add(root, "segmented", 0)
        faults = []
        for box in photo.boxes:
            corners = self._object(root, box, (photo.width, photo.height))
            if not all(map(is_whole, corners)):
                message = f"box {' '.join(corners)} is not in whole pixels"
                faults.append(Fault("fraction", photo.key, message))
        return root, faults

    def _object(self, root: Element, box: Box, size: tuple[int, int]) -> list[str]:
        """Add an object, and return its corners as texts. size: of the image (pixels)."""
        found = SubElement(root, "object")
        _add(found, "name", self._classes.name(box.label))
        _add(found, "pose", "Unspecified")
        _add(found, "truncated", 0)
        _add(found, "difficult", int(box.difficult))
        corners = SubElement(found, "bndbox")
        words = [repr(value) for value in pixels.corners(box.corners, size)]
        for name, word in zip(CORNERS, words, strict=True):
            _add(corners, name, word)
        return words

    def finish(self) -> None:
        """Write the list of each split, and the names of classes for CVAT and Datumaro."""
        for split, lines in self._lists.items():
            text = "".join(f"{line}\n" for line in lines)
            (self._root / SETS / f"{split}.txt").write_text(text, encoding="utf-8")
        names = "".join(f"{name}:::\n" for name in self._classes.names.values())
        label_file = self._root / CLASSES
        label_file.write_text(f"# label:color_rgb:parts:actions\n{names}", encoding="utf-8")


def _add(parent: Element, tag: str, value: object) -> None:
    SubElement(parent, tag).text = str(value)


def _listed(name: str, stem: str) -> str:
    """Return the line of an image in a list: its name alone, unless that has spaces."""
    if stem.split() == [stem]:
        return stem
    return f"{IMAGES}/{name}\t{ANNOTATIONS}/{stem}.xml"


register(
    Format(
        "voc",
        "VOC's XML",
        """
DIR/JPEGImages/a.jpg, DIR/Annotations/a.xml
DIR/ImageSets/Main/train.txt, DIR/labelmap.txt
""",
        Voc,
    )
)
