"""Contact sheets: images of an LMDB with their boxes, as one picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from google.protobuf.message import DecodeError

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.lmdb_reader import LmdbReader
from data_prep.sources import label_map
from ssd_common.errors import CaffeError

TILE, GAP, COLUMNS = 240, 6, 6
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def write(path: Path, out: Path, count: int = 24, labels: str | None = None) -> None:
    """Draw the first `count` images of the annotated LMDB at path, difficult objects thin, as a picture: one of PICTURES by its name.

    labels: a label map for the names, by default the one beside the LMDB. Raises CaffeError naming LMDB and record.
    """
    source = label_map.beside(path, labels)
    names = {i.label: i.display_name or i.name for i in text.read_labelmap(source).item} if source else {}
    tiles = [tile(record, key, path, names) for key, record in read_records(path, count)]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (TILE + GAP) + GAP, columns * (TILE + GAP) + GAP, 3), 255, np.uint8)
    for i, picture in enumerate(tiles):
        y, x = (GAP + (TILE + GAP) * n for n in divmod(i, columns))
        sheet[y : y + TILE, x : x + TILE] = picture
    try:
        done, data = cv2.imencode(out.suffix.lower(), sheet)
    except cv2.error:
        done = False
    if not done:
        raise CaffeError(f"{out}: the sheet is too large for such a picture; show fewer images (--count)")
    text.write_atomic(out, data.tobytes())


def read_records(path: Path, count: int) -> list[tuple[str, pb.AnnotatedDatum]]:
    """The first `count` records of an LMDB with their keys. Raises CaffeError if it is damaged or empty or one does not parse."""
    reader = LmdbReader(path)
    found = []
    for number, key in enumerate(reader.keys[:count]):
        try:
            found.append((key.decode(errors="replace"), pb.AnnotatedDatum.FromString(reader.value(number))))
        except DecodeError:
            raise CaffeError(f"{path}: record {number} is no AnnotatedDatum") from None
    return found


def tile(record: pb.AnnotatedDatum, key: str, path: Path, names: dict[int, str]) -> np.ndarray:
    """A record's image with its boxes, TILE x TILE x 3."""
    image = _pixels(record.datum)
    if image is None:
        raise CaffeError(f"{path}: record {key} has no image that OpenCV can read")
    height, width = (max(round(side * TILE / max(image.shape[:2])), 1) for side in image.shape[:2])
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    for group in record.annotation_group:
        hue = (group.group_label * 67) % 180
        colour = cv2.cvtColor(np.array([[[hue, 230, 255]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
        for annotation in group.annotation:
            box = annotation.bbox
            corners = np.nan_to_num([box.xmin, box.ymin, box.xmax, box.ymax]).clip(-1, 2)  # verify tells of those far outside
            xmin, ymin, xmax, ymax = (corners * [width, height, width, height]).round().astype(int).tolist()
            corner = (xmin - 1, ymin - 1)  # around the object, not over its edge
            cv2.rectangle(image, corner, (xmax, ymax), colour, 1 if box.difficult else 2)
            place = (corner[0] + 1, max(corner[1] - 3, 9))
            for ink, thickness in (((0, 0, 0), 3), (colour, 1)):
                cv2.putText(image, names.get(group.group_label, str(group.group_label)), place, cv2.FONT_HERSHEY_SIMPLEX, 0.36,
                            ink, thickness, cv2.LINE_AA)  # fmt: skip
    result = np.full((TILE, TILE, 3), 235, np.uint8)
    y, x = (TILE - height) // 2, (TILE - width) // 2
    result[y : y + height, x : x + width] = image
    return result


def _pixels(datum: pb.Datum) -> np.ndarray | None:
    """A record's image, (H, W, 3) BGR; None where it has none that can be read."""
    data = np.frombuffer(datum.data, np.uint8)
    if not len(data):
        return None
    if datum.encoded:
        return cv2.imdecode(data, cv2.IMREAD_COLOR)
    if datum.channels not in (1, 3) or len(data) != datum.channels * datum.height * datum.width:
        return None
    image = data.reshape(datum.channels, datum.height, datum.width).transpose(1, 2, 0)
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if datum.channels == 1 else np.ascontiguousarray(image)
