"""Images to detect on: from files, folders, LMDBs and arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from caffe_ir.lmdb_reader import LmdbReader, key_text
from caffe_ir.records import CorruptRecord
from netrun.data import video
from netrun.data.datum import decode
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, read_regular
from ssd_common.pictures import Box, decoded

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

# An image, BGR uint8 of shape (H, W, 3), or the path of a file, a folder or an LMDB.
Source = PathLike | np.ndarray


@dataclass(frozen=True)
class Picture:
    """An image to detect on.

    name: the image's path, its key in an LMDB, or an array's position among the sources, from 0.
    image: (H, W, 3) uint8, BGR.
    truth: the image's objects, if it comes from an LMDB.
    """

    name: str
    image: np.ndarray
    truth: tuple[Box, ...] = ()


def sources_of(images: Source | Iterable[Source]) -> list[Source]:
    """List one source or several.

    Raises CaffeError for a path that does not exist or is a video's, and for an array that is not a
    BGR image.
    """
    if isinstance(images, (str, os.PathLike, np.ndarray)):
        images = [images]
    sources = list(images)
    for i, source in enumerate(sources):
        if isinstance(source, np.ndarray):
            _check_array(i, source)
        else:
            _check_path(source)
    return sources


def _check_path(source: PathLike) -> None:
    """Refuse what is not there, and videos, with the way to detect on cameras and videos."""
    path = Path(source)
    if not path.exists():
        what = f"{source}: no such image, folder or LMDB"
        if str(source).isdecimal():
            what += f"; for a camera {video.way_for_camera(int(str(source)))}"
        raise CaffeError(what)
    if path.suffix.lower() in video.SUFFIXES and path.is_file():
        raise CaffeError(f"{source}: a video, not an image: {video.way_for_video(str(source))}")


def _check_array(position: int, image: np.ndarray) -> None:
    is_colour = image.ndim == 3 and image.shape[2] == 3
    if image.dtype != np.uint8 or not is_colour or not image.size:
        found = f"{image.dtype} of shape {image.shape}"
        raise CaffeError(f"image {position}: not (H, W, 3) uint8, in BGR, but {found}")


def pictures_in(
    sources: Sequence[Source],
    names: Mapping[int, str],
    limit: int | None = None,
) -> Iterator[Picture]:
    """Read the images of files, folders, LMDBs and arrays, one after the other.

    names: class names by label, for the objects in LMDBs.
    limit: how many images to read at most; None: all.
    Raises CaffeError for an image that cannot be read, and for a folder without images.
    """
    count = 0
    for i, source in enumerate(sources):
        for picture in _pictures_of(source, i, names):
            if limit is not None and count >= limit:
                return
            count += 1
            yield picture


def _pictures_of(
    source: Source,
    position: int,
    names: Mapping[int, str],
) -> Iterator[Picture]:
    if isinstance(source, np.ndarray):
        return iter([Picture(str(position), source)])
    if (Path(source) / "data.mdb").is_file():
        return _of_lmdb(source, names)
    return _of_files(Path(source))


def _of_files(root: Path) -> Iterator[Picture]:
    files = [root]
    if root.is_dir():
        files = sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise CaffeError(f"{root}: no images in this folder{_a_video_in(root)}")
    for path in files:
        yield Picture(str(path), _read(path))


def _a_video_in(folder: Path) -> str:
    """How to detect on a folder's first video, as the end of a message; "" without one."""
    videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in video.SUFFIXES)
    if not videos:
        return ""
    return f"; for {videos[0].name} {video.way_for_video(str(videos[0]))}"


def _read(path: Path) -> np.ndarray:
    data = read_regular(path)
    try:
        image = decoded(data, cv2.IMREAD_COLOR)
    except CaffeError as error:
        raise CaffeError(f"{path}: {error}") from None
    if image is None:
        raise CaffeError(f"{path}: not an image that can be read")
    return image


def _of_lmdb(source: PathLike, names: Mapping[int, str]) -> Iterator[Picture]:
    reader = LmdbReader(source)
    for i, key in enumerate(reader.keys):
        name = key_text(key)
        try:
            sample = decode(reader.value(i), None, force_color=True)
        except CorruptRecord as error:
            raise CaffeError(f"{source}: record '{name}': {error}") from None
        found = sample.annotations
        labels = [int(ids[0]) for ids in found.ids]
        pairs = zip(found.boxes.tolist(), labels, strict=True)
        truth = [Box(box, label, names.get(label, str(label))) for box, label in pairs]
        yield Picture(name, sample.image, tuple(truth))
    reader.close()
