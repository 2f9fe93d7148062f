"""How many images a net reads: as its data say, or else its other files and fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import name_size
from caffe_ir.lmdb_reader import LmdbReader
from ssd_common.errors import CaffeError
from ssd_common.files import read_bytes


@dataclass(frozen=True)
class Images:
    """A number of images, and the file or field that says so."""

    count: int
    source: str


def data_layer(net: pb.NetParameter) -> pb.LayerParameter | None:
    """Find the first layer that reads images one after the other; None without one.

    net: filtered for its phase.
    """
    return next((layer for layer in net.layer if layer.type in _SOURCES), None)


def batch_size(layer: pb.LayerParameter) -> int:
    """Return a data layer's images per batch; 0 where it says none."""
    if layer.type == "ImageData":
        return layer.image_data_param.batch_size
    return layer.data_param.batch_size


def read_images(net: pb.NetParameter) -> Images | None:
    """Count the images that a net's data layer reads; None where its data are not at hand."""
    layer = data_layer(net)
    if layer is None:
        return None
    source, count = _SOURCES[layer.type](layer)
    if not count:
        return None
    return Images(count, source)


def known_images(net: pb.NetParameter) -> Images | None:
    """Count a net's images by its data, else its name_size files, else num_test_image.

    Returns None where none of them says.
    """
    return read_images(net) or _listed_images(net) or _declared_images(net)


def name_size_files(net: pb.NetParameter) -> dict[str, str]:
    """List the name_size files that a net reads: by file, the first layer that names it."""
    found: dict[str, str] = {}
    for layer in net.layer:
        saved = layer.detection_output_param.save_output_param
        for file in (layer.detection_evaluate_param.name_size_file, saved.name_size_file):
            if file:
                found.setdefault(file, layer.name)
    return found


def listed(file: str) -> int:
    """Count the images of a name_size file; 0 where it is not at hand or not one."""
    return _counted(lambda: len(name_size.read(file)))


def _listed_images(net: pb.NetParameter) -> Images | None:
    for file in name_size_files(net):
        count = listed(file)
        if count:
            return Images(count, file)
    return None


def _declared_images(net: pb.NetParameter) -> Images | None:
    for layer in net.layer:
        count = layer.detection_output_param.save_output_param.num_test_image
        if count:
            return Images(count, f"num_test_image of layer '{layer.name}'")
    return None


def _of_lmdb(layer: pb.LayerParameter) -> tuple[str, int]:
    source = layer.data_param.source

    def count() -> int:
        reader = LmdbReader(source)
        records = len(reader)
        reader.close()
        return records

    return source, _counted(count)


def _of_list(layer: pb.LayerParameter) -> tuple[str, int]:
    source = layer.image_data_param.source
    return source, _counted(lambda: sum(map(bool, map(bytes.strip, _lines(source)))))


def _lines(file: str) -> list[bytes]:
    return read_bytes(file).splitlines()


def _counted(count: Callable[[], int]) -> int:
    """What a file counts; 0 where it cannot be read, which is for others to say."""
    try:
        return count()
    except (CaffeError, OSError):
        return 0


# By type of layer, what gives its source and the number of images in it.
_SOURCES: dict[str, Callable[[pb.LayerParameter], tuple[str, int]]] = {
    "AnnotatedData": _of_lmdb,
    "Data": _of_lmdb,
    "ImageData": _of_list,
}
