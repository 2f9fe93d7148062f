"""How pictures become a deploy net's input: as the net beside it says that its data were."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from netrun.data.datum import NO_OBJECTS, Sample
from netrun.data.transform import Transformer
from netrun.layers.image_source import read_mean
from netrun.runtime import log
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

MEAN = (104.0, 117.0, 123.0)  # BGR, of the VGG nets
_READ_PICTURES = frozenset(
    ("AnnotatedData", "Data", "ImageData", "MemoryData", "VideoData", "WindowData")
)
# What the names of nets that read pictures say that they are: BVLC's models are train_val nets.
_BESIDE = ("test", "train_val", "trainval", "train_test", "train")
_KINDS = ("deploy", *_BESIDE)
_KIND = "|".join(_KINDS)
_LAST = re.compile(rf"(.+[-_.])(?:{_KIND})")
_FIRST = re.compile(rf"(?:{_KIND})([-_.].+)")


@dataclass
class NetsBeside:
    """A model, and the test and train nets beside it, which say how pictures were prepared.

    net: the layers of all of them, the model's first.
    transform: of their first layer that reads pictures; None where there is none.
    source: the file of that layer.
    """

    net: pb.NetParameter = field(default_factory=pb.NetParameter)
    transform: pb.TransformationParameter | None = None
    source: str = ""


def nets_beside(model: PathLike) -> NetsBeside:
    """Read a model and the nets beside it.

    A net that does not read is left out with a warning. Raises ParseError for the model itself.
    """
    found = NetsBeside()
    _add(found, Path(model), text.read_net(model))
    for path in _candidates(Path(model)):
        try:
            _add(found, path, text.read_net(path))
        except CaffeError as error:
            log.warning(f"{error}; left out, though it may say how pictures are prepared")
    return found


def _add(found: NetsBeside, path: Path, net: pb.NetParameter) -> None:
    if found.transform is None:
        found.transform = _transform(net)
        found.source = str(path)
    found.net.layer.extend(net.layer)


def _transform(net: pb.NetParameter) -> pb.TransformationParameter | None:
    """The transform_param of the layer that reads pictures, in TEST if there is one, or TRAIN."""
    for phase in (pb.TEST, pb.TRAIN):
        for layer in filter_net(net, phase).layer:
            if layer.type in _READ_PICTURES or layer.HasField("transform_param"):
                return layer.transform_param
    return None


def _candidates(model: Path) -> Iterator[Path]:
    """Files that may hold the test or train net of a model.

    X_test beside X_deploy, test-X beside deploy-X, else test alone, and beside a model that is
    called deploy the only file whose name ends in _test; likewise with the other kinds.
    """
    around = [("", "")]
    last = _LAST.fullmatch(model.stem)
    first = _FIRST.fullmatch(model.stem)
    if last:
        around.insert(0, (last[1], ""))
    elif first:
        around.insert(0, ("", first[1]))
    elif model.stem not in _KINDS:
        around.insert(0, (f"{model.stem}_", ""))
    endings = dict.fromkeys((".prototxt", model.suffix))
    paths = [
        model.with_name(f"{before}{kind}{after}{ending}")
        for before, after in around
        for kind in _BESIDE
        for ending in endings
    ]
    if model.stem in _KINDS:
        paths += [path for kind in _BESIDE for path in _only(model.parent, f"_{kind}")]
    for path in paths:
        if path.is_file() and path != model:
            yield path


def _only(folder: Path, ending: str) -> list[Path]:
    """The file of a folder whose name ends so; none where several do."""
    paths = list(folder.glob(f"*{ending}.prototxt"))
    if len(paths) > 1:
        return []
    return paths


class Preparation:
    """What becomes of pictures on their way into a deploy net.

    beside: the nets beside the model.
    model: the model's file, for errors.
    shape: of the net's input.
    mean, scale: in place of what those nets say.

    Raises CaffeError for an input that takes no pictures, for a transform_param whose boxes would
    not be the whole picture's, and for a mean that does not fit.
    """

    def __init__(
        self,
        beside: NetsBeside,
        model: PathLike,
        shape: Sequence[int],
        mean: Sequence[float] | None,
        scale: float | None,
    ) -> None:
        if len(shape) != 4 or shape[1] not in (1, 3):
            what = f"its input has shape {tuple(shape)}"
            raise CaffeError(f"{model}: {what}; detect feeds N x 3 x H x W, or N x 1 x H x W")
        _, self._channels, self._height, self._width = shape
        self._model = model
        self._source = beside.source
        param = self._chosen(beside.transform)
        if mean is not None:
            self._source += ", --mean-value"
            param.ClearField("mean_file")
            param.mean_value[:] = mean
        if scale is not None:
            self._source += ", --scale"
            param.scale = scale
        self._param = param
        self._transformer = Transformer(param, [], pb.TEST, self._read_mean(param.mean_file))
        self._check_mean(shape)
        if beside.transform is None and mean is None:
            log.warning(f"{model}: no test or train net beside it says how pictures are prepared")
        log.info(self.words)

    def _chosen(self, known: pb.TransformationParameter | None) -> pb.TransformationParameter:
        """What of a transform_param holds for every picture, and a resize to the net's input."""
        param = pb.TransformationParameter(scale=1)
        resize = pb.ResizeParameter(prob=1, height=self._height, width=self._width)
        modes = [pb.ResizeParameter.LINEAR]
        if known is None:
            self._source = "the default"
            if self._channels == 3:
                param.mean_value[:] = MEAN
        else:
            self._refuse(known)
            param.scale = known.scale
            param.mean_value[:] = known.mean_value
            param.mean_file = known.mean_file
            if len(known.resize_param.interp_mode) == 1:
                modes = list(known.resize_param.interp_mode)
        resize.interp_mode[:] = modes
        param.resize_param.CopyFrom(resize)
        return param

    def _read_mean(self, file: str) -> np.ndarray | None:
        try:
            return read_mean(file)
        except CaffeError as error:
            remedy = f"(from {self._source}); --mean-value B,G,R takes its place"
            raise CaffeError(f"{self._model}: {error} {remedy}") from None

    def _check_mean(self, shape: Sequence[int]) -> None:
        try:
            self(np.zeros((1, 1, 3), np.uint8), np.empty(shape[1:], np.float32))
        except CaffeError as error:
            raise CaffeError(f"{self._model}: {error} (from {self._source})") from None

    def _refuse(self, known: pb.TransformationParameter) -> None:
        resize = known.resize_param
        if resize.HasField("resize_mode") and resize.resize_mode != pb.ResizeParameter.WARP:
            other = "only warps images to the net's input, and this net's resize_mode is another"
            raise CaffeError(f"{self._model}: detect {other}")
        height = known.crop_size or known.crop_h or resize.height
        width = known.crop_size or known.crop_w or resize.width
        if resize.height and (height, width) != (resize.height, resize.width):
            other = f"shows the net whole images, and {self._source} crops them"
            raise CaffeError(f"{self._model}: detect {other}")
        if height and not resize.height:
            cut = f"cuts {width} x {height} pixels out of its pictures"
            log.warning(f"{self._source} {cut}; detect resizes the whole picture")

    @property
    def words(self) -> str:
        """What becomes of pictures, and who says so, in a line."""
        param = self._param
        mean = param.mean_file or ",".join(f"{value:g}" for value in param.mean_value) or "0"
        mode = pb.ResizeParameter.Interp_mode.Name(param.resize_param.interp_mode[0])
        colours = {1: "grey", 3: "BGR"}[self._channels]
        how = (
            f"{self._width} wide, {self._height} high ({mode}), mean {mean}, scale {param.scale:g}"
        )
        return f"Pictures: {colours}, {how}, from {self._source}"

    def __call__(self, image: np.ndarray, out: np.ndarray) -> None:
        """Write what the net gets of a picture.

        image: (H, W, 3) uint8, BGR.
        out: (C, H, W) float32.
        """
        if self._channels == 1:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[:, :, None]
        rng = np.random.default_rng(0)  # for an interface of draws: nothing is drawn
        pixels, _ = self._transformer(Sample(image, NO_OBJECTS, None), rng)
        self._transformer.normalise(pixels, out)
