"""Where the values of an HDF5 dataset lie: it can take them from other files.

A file from elsewhere could so name any file of the reader's. Virtual datasets and external links
that join files of one folder are in use; external raw storage, bytes of any file, is not.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterator

import h5py

from ssd_common.errors import CaffeError

_SAME_FILE = "."  # a virtual dataset's name for its own file
_Seen = set[tuple[str, str]]  # files and names of datasets that have been checked


def check_values(dataset: h5py.Dataset, path: str, folders: Collection[str]) -> None:
    """Refuse a dataset that takes values from other files than the HDF5 files in these folders.

    path: the file as the user names it.
    folders: allowed, with the folders in them, links followed; the file's own folder is, too.
    Raises CaffeError with file, dataset and the other file; also where that file is missing, in
    place of which HDF5 gives zeros.
    """
    allowed = [os.path.realpath(folder) for folder in (os.path.dirname(path) or ".", *folders)]
    try:
        if not os.path.samefile(dataset.file.filename, path):  # it is behind an external link
            _check_place(dataset.file.filename, allowed)
        _check(dataset, allowed, set())
    except _Elsewhere as error:
        raise CaffeError(f"{path}: dataset '{dataset.name}' {error}") from None


class _Elsewhere(Exception):
    """What a dataset's message says after its name."""


def _check(dataset: h5py.Dataset, allowed: Collection[str], seen: _Seen) -> None:
    """Check a dataset and those that it takes values from. Raises _Elsewhere."""
    if dataset.external:
        names = ", ".join(name for name, _, _ in dataset.external)
        what = f"takes its values from {names}, HDF5's external storage"
        raise _Elsewhere(f"{what}, which may be any file; store them in the file itself")
    if not dataset.is_virtual:
        return
    own = dataset.file.filename
    for source in dataset.virtual_sources():
        for file in _files(source.file_name, own):
            _check_place(file, allowed)
            _check_source(file, source.dset_name, allowed, seen)


def _check_source(file: str, name: str, allowed: Collection[str], seen: _Seen) -> None:
    """Check the dataset of this name in a file, once."""
    key = (os.path.realpath(file), name)
    if key in seen:
        return
    seen.add(key)
    with h5py.File(file, "r") as opened:
        found = opened.get(name)
        if isinstance(found, h5py.Dataset):
            _check_place(found.file.filename, allowed)
            _check(found, allowed, seen)


def _check_place(file: str, allowed: Collection[str]) -> None:
    real = os.path.realpath(file)
    if not any(real.startswith(os.path.join(folder, "")) for folder in allowed):
        folders = " or ".join(sorted(set(allowed)))
        raise _Elsewhere(f"takes its values from {real}, outside {folders}; put that file there")


def _files(name: str, own: str) -> list[str]:
    """The file that HDF5 opens for a name in a virtual dataset of the file `own`.

    For a pattern, in which %b stands for a block's number, every file that it may open.
    Raises _Elsewhere where there is none.
    """
    if name == _SAME_FILE:
        return [own]
    places = list(_places(name, own))
    if "%b" in name:
        patterns = [glob.escape(place).replace("%b", "*") for place in places]
        found = [file for pattern in patterns for file in glob.glob(pattern)]
    else:
        found = [place for place in places if os.path.isfile(place) and h5py.is_hdf5(place)][:1]
    if not found:
        raise _Elsewhere(f"takes its values from {name}, which is not there: HDF5 would read zeros")
    return found


def _places(name: str, own: str) -> Iterator[str]:
    """Where HDF5 looks, in its order: below HDF5_VDS_PREFIX, the file's folder, the working one.

    Of an absolute path that is missing, it looks for the last part.
    Source: H5F_prefix_open_file of HDF5, H5Fint.c.
    """
    if os.path.isabs(name):
        yield name
        name = os.path.basename(name)
    beside = os.path.dirname(own)
    prefix = os.environ.get("HDF5_VDS_PREFIX", "").replace("${ORIGIN}", beside)
    folders = [*filter(None, prefix.split(":")), beside, "", os.path.dirname(os.path.realpath(own))]
    for folder in folders:
        yield os.path.join(folder, name)
