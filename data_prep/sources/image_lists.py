"""Lists of images, and the places of image files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from data_prep.images.encoding import HEIF_NAMES, IMAGE_NAMES
from data_prep.images.image_header import read_header
from data_prep.sources import fields, text_file
from data_prep.sources.source import Item
from ssd_common.errors import CaffeError
from ssd_common.files import read_regular
from ssd_common.suggest import suggest

# Images that are looked for before a folder counts as not theirs.
PROBES = 20


def find(name: str, candidates: Iterable[Path], sets: list[str]) -> Path:
    """Return the first of candidates that is a file.

    Raises CaffeError, with the nearest of sets to the name, where no candidate is a file.
    """
    for path in candidates:
        if path.is_file():
            return path
    known = suggest(name, sets)
    if sets and not known:
        known = f"; there are {', '.join(sets)}"
    raise CaffeError(f"{name}: no such list{known}")


def read_lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that is not blank.

    what: the kind of file, for the error.
    Raises CaffeError for a file that is no text, OSError.
    """
    with text_file.opened(path, what) as file:
        for number, line in enumerate(file, 1):
            stripped = line.strip()
            if stripped:
                yield number, stripped


def read_list(path: Path) -> list[tuple[str, list[str]]]:
    """Return the place, `file:line`, and words of each line: an image, and its annotation.

    Raises CaffeError.
    """
    found = []
    for number, line in read_lines(path, "a list"):
        place = f"{path}:{number}"
        words = _words(line)
        if len(words) > 2:
            wanted = "'image annotation' should be"
            remedy = "with a tab if names have spaces"
            raise CaffeError(f"{place}: {len(words)} words where {wanted} ({remedy})")
        try:
            found.append((place, [fields.image_name(word) for word in words]))
        except ValueError as error:
            raise CaffeError(f"{place}: {error}") from None
    if not found:
        raise CaffeError(f"{path}: the list is empty")
    return found


def _words(line: str) -> list[str]:
    """Return the words of a line: between tabs where it has any, else between spaces."""
    if "\t" in line:
        return [word.strip() for word in line.split("\t")]
    return line.split()


def read_items(path: Path, item: Callable[[str, str], Item]) -> list[Item]:
    """Return the items of a list.

    item: makes the item of an image's name alone, and of its place in the list.
    Raises CaffeError with file and line.
    """
    return items_of(read_list(path), item)


def items_of(rows: Iterable[tuple[str, list[str]]], item: Callable[[str, str], Item]) -> list[Item]:
    """Return the items of what read_list returns; takes `item` as read_items."""
    found = []
    for place, words in rows:
        if len(words) == 1:
            found.append(item(words[0], place))
        else:
            found.append(Item(words[0], words[1], place))
    return found


def below(root: Path, path: Path) -> str:
    """Return a path as items have it: relative to the root if it lies below, else absolute."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return path.absolute().as_posix()


def is_image(name: str) -> bool:
    """Return whether a file name is an image's, not a hidden file's such as macOS's ._*.jpg."""
    return name[0] != "." and has_image_extension(name)


def has_image_extension(name: str) -> bool:
    """Return whether a path ends as an image's name does."""
    return Path(name).suffix.lower() in IMAGE_NAMES


def images_below(folder: Path) -> list[Path]:
    """Return every image file of a folder and of the folders in it, by name."""
    return readable(path for path in sorted(folder.rglob("*")) if is_image(path.name))


def images_in(folder: Path) -> list[Path]:
    """Return every image file of a folder itself, by name."""
    return readable(path for path in sorted(folder.iterdir()) if is_image(path.name))


def has_images(folder: Path) -> bool:
    """Return whether there is an image in a folder or below."""
    return any(is_image(path.name) for path in folder.rglob("*"))


def readable(images: Iterable[Path]) -> list[Path]:
    """Return images without telephones' HEIC files that have a copy of another format beside them.

    images: paths.
    """
    found = list(images)
    if not any(path.suffix.lower() in HEIF_NAMES for path in found):
        return found
    others = {path.with_suffix("") for path in found if path.suffix.lower() not in HEIF_NAMES}
    return [
        path
        for path in found
        if path.suffix.lower() not in HEIF_NAMES or path.with_suffix("") not in others
    ]


def locate(root: Path, names: Iterable[str], folders: Iterable[str]) -> tuple[str, str]:
    """Find the folder and extension that lead from the root to the first image found.

    names: as an annotation file has them.
    folders: where images might be, the likeliest first.
    Returns the folder with a slash at its end, "" where none has an image; and the extension, ""
      where names have their own.
    """
    probed = list(islice(names, PROBES))
    extensions: tuple[str, ...] = ("",)
    if probed and not any(map(has_image_extension, probed)):
        extensions = IMAGE_NAMES
    for folder in folders:
        prefix = f"{folder}/"
        if folder in ("", "."):
            prefix = ""
        for extension in extensions:
            paths = (root / f"{prefix}{name}{extension}" for name in probed)
            if any(path.is_file() for path in paths):
                return prefix, extension
    return "", extensions[0]


def with_extension(root: Path, stem: str) -> str:
    """Return the image of a path without extension, relative to the root.

    It ends in .jpg where there is none. Raises CaffeError where there are several.
    """
    found = with_extensions(root / stem)
    if len(found) > 1:
        raise CaffeError(f"{root / stem}: its image may be {found[0].name} or {found[1].name}")
    if found:
        return stem + found[0].suffix
    return f"{stem}.jpg"


def with_extensions(path: Path) -> list[Path]:
    """Return the images of a path without extension, as readable does."""
    cased = [form for extension in IMAGE_NAMES for form in (extension, extension.upper())]
    paths = [path.with_name(path.name + extension) for extension in cased]
    found: list[Path] = []
    for image in paths:
        # Some systems take small letters and capitals as one.
        if image.is_file() and not any(image.samefile(other) for other in found):
            found.append(image)
    return readable(found)


def size_of(image: Path) -> tuple[int, int]:
    """Return (width, height) of an image file, for boxes in fractions of it.

    (0, 0) where it cannot be read; the error comes when a build reads the image itself.
    """
    # OpenCV, which help does without.
    from data_prep.images.image import read_image  # noqa: PLC0415

    try:
        header = read_header(read_regular(image))
        if header:
            height, width = header.upright
            return width, height
        decoded = read_image(image)
    except (CaffeError, OSError):
        return 0, 0
    return decoded.width, decoded.height
