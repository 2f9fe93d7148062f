"""Data sets whose annotation files hold the annotations of many images, which they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from data_prep.sources import fields, image_finder
from data_prep.sources.bundle import Bundle
from data_prep.sources.image_finder import Finder, contradict
from data_prep.sources.picture import Picture
from data_prep.sources.source import NO_ALIASES, Annotation, Item, Remark
from ssd_common.errors import CaffeError, ParseError


class Album(Bundle):
    """A folder with such annotation files, or one of them.

    A format is a subclass with `pictures`, and `recognises` where its files have the suffix of
    others, too.

    images: the folder with the images; None for the usual ones.
    """

    classes: list[str] | None = None
    aliases = NO_ALIASES

    def __init__(self, root: Path, images: Path | str | None = None) -> None:
        super().__init__(root)
        self._images = image_finder.folder_of_images(self.root, images)

    def pictures(self, path: Path) -> Iterator[Picture]:
        """Yield what an annotation file says of each image, in its order.

        Raises ParseError with file and line for a file that is not of this format.
        """
        raise NotImplementedError

    @staticmethod
    def recognises(_: Path) -> bool:
        """Return whether a file of the right suffix is of this format, by its start."""
        return True

    def candidates(self) -> list[Path]:
        """Return the annotation files of the folder: those of this format, if there are any."""
        found = super().candidates()
        return [path for path in found if self.recognises(path)] or found

    def folders(self, path: Path) -> list[str]:
        """Return where the images of an annotation file may be, relative to the root."""
        beside = self.below(path.parent)
        split = self.split_of(path)
        usual = ("", "images", split, f"images/{split}", f"{split}/images", "data", "JPEGImages")
        return [beside, f"{beside}/images", *usual]

    def load(self, path: Path) -> list[Item]:
        """Return the items of one annotation file, an image each.

        Raises ParseError for a file that is not of this format. A fault of a single annotation is
          an error only when its image is read.
        """
        finder = Finder(self.root, self.folders(path), self._images)
        place = self.below(path)
        items: dict[str, Item] = {}
        for picture in self.pictures(path):
            image = _locate(finder, picture, path)
            whole = picture
            if image in items:
                whole = Picture.unpack(items[image].content or "")
                _merge(whole, picture, image)
            items[image] = Item(image, place, content=whole.pack())
        if not items:
            raise ParseError(str(path), "no image in it")
        return list(items.values())

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with the line of what is wrong."""
        return Picture.unpack(item.content or "").annotation(self.file(item), item.image)


def _locate(finder: Finder, picture: Picture, path: Path) -> str:
    """Return where the image of a picture is, and remark where that is elsewhere than it says.

    Raises ParseError for a name that no image can have, or that several have.
    """
    try:
        found = finder.find(picture.name)
    except ValueError as error:
        raise ParseError(str(path), str(error), picture.line) from None
    if found.by_name:
        message = f"{found.image} is taken"
        picture.remarks.append(Remark("relocated", picture.line, message))
    return found.image


def _merge(whole: Picture, picture: Picture, image: str) -> None:
    """Add a picture to the one of the same image, or an error where it may be another's."""
    guessed = any(remark.kind == "relocated" for remark in whole.remarks + picture.remarks)
    if guessed and contradict(whole.name, picture.name):
        both = f"'{fields.excerpt(whole.name)}' and '{fields.excerpt(picture.name)}'"
        whole.errors.append((picture.line, f"{both} would both be {image}"))
    else:
        whole.merge(picture)


def recognised(kind: type[Album]) -> Callable[[Path], bool]:
    """Return a function that tells whether a folder, or a file, is of a kind, by its looks."""

    def looks_like(path: Path) -> bool:
        try:
            files = kind(path).files().values()
        except CaffeError:
            return False
        fitting = [file for file in files if file.suffix.lower() in kind.suffixes]
        return any(kind.recognises(file) for file in fitting)

    return looks_like
