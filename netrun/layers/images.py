"""Images with one label each: Data, from an LMDB, ImageData, from a list of files, VideoData and WindowData."""

from __future__ import annotations

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.rules.registry import Facts
from netrun.data.datum import Sample, decode_datum
from netrun.data.loader import Loader
from netrun.data.records import ImageList, Order
from netrun.data.video import Video
from netrun.data.windows import WindowFile, WindowTransformer
from netrun.layers.image_source import ImageSource
from netrun.layers.registry import Context, layer
from ssd_common.errors import CaffeError


def _plain(param: pb.TransformationParameter) -> pb.TransformationParameter:
    """Without what the fork does for AnnotatedData only."""
    plain = pb.TransformationParameter()
    plain.CopyFrom(param)
    for field in ("distort_param", "expand_param", "emit_constraint"):
        plain.ClearField(field)
    return plain


@layer("Data")
class Data(ImageSource):
    """Tops: data (N, C, H, W) float32, (pixel - mean) * scale; label (N,). From an LMDB of Datums, encoded or raw, in key order.

    Of transform_param, resize, noise, crop, mirror, mean and scale apply. rand_skip does nothing, as in the fork.
    Source: weiliu89/caffe, branch ssd, data_layer.cpp, data_reader.cpp and data_transformer.cpp.
    Raises CaffeError for an LMDB that is missing, empty or truncated, LayerError for parameters that the fork refuses.
    """

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self.needs_lmdb()
        self._transform = _plain(layer.transform_param)
        self._transformer = self.transformer(self._transform)
        self._lmdb = self._reader = LmdbReader(layer.data_param.source)

    def open(self) -> Loader:
        data = self.param.data_param
        return Loader(self._lmdb, self._transformer, self.plan(data.batch_size, data.prefetch), False, read=self._read)

    def _read(self, record: int) -> Sample:
        p = self._transform
        sample = decode_datum(self._lmdb.value(record), p.force_color, p.force_gray, self.mean)
        if sample.image.dtype != np.uint8 and (p.HasField("resize_param") or p.HasField("noise_param")):
            raise CaffeError(f"{self._lmdb.source}: raw records of float_data, or with a mean_file, cannot be resized or given noise")
        return sample


@layer("ImageData")
class ImageData(ImageSource):
    """Tops: data (N, C, H, W) float32, (pixel - mean) * scale; label (N,). From files that a list names, in its order or shuffled.

    An image is scaled to new_height x new_width, then transformed as Data's are. Source: weiliu89/caffe (ssd), image_data_layer.cpp.
    A file that cannot be read is passed over, as a corrupt record is; strict stops there, as Caffe does.
    Raises CaffeError for a list that is missing, empty or lacks a label, LayerError for parameters that the fork refuses.
    """

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = layer.image_data_param
        if not p.source:
            raise self.refuse("must name the list of images", "image_data_param.source")
        self._transformer = self.transformer(_plain(layer.transform_param))
        size = (p.new_height, p.new_width) if p.new_height and p.new_width else None
        self._list = self._reader = ImageList(p.source, p.root_folder, size, p.is_color)
        if p.rand_skip > len(self._list):
            raise self.refuse(f"must not exceed the {len(self._list)} images of {p.source}", "image_data_param.rand_skip")
        self._order = Order(len(self._list), context.options.seed, p.shuffle, p.rand_skip)

    def open(self) -> Loader:
        plan = self.plan(self.param.image_data_param.batch_size, 3)  # Caffe's PREFETCH_COUNT
        return Loader(self._list, self._transformer, plan, False, read=self._list.sample, order=self._order)


@layer("VideoData")
class VideoData(ImageSource):
    """Tops: data (N, C, H, W) float32, (pixel - mean) * scale; label (N,), zeros. Frames of a file, transformed as Data's images are.

    After the last frame a CaffeError ends the run, where the fork ends it by SIGINT. skip_frames frames are passed over before each
    one that is taken: what the fork means, though it writes outside its memory. Source: weiliu89/caffe (ssd), video_data_layer.cpp.
    """

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = layer.video_data_param
        if p.video_type == p.WEBCAM:
            raise self.refuse("netrun reads VIDEO, not the WEBCAM (Caffe's default)", "video_data_param.video_type")
        if not p.video_file:
            raise self.refuse("must name the video", "video_data_param.video_file")
        if not layer.data_param.batch_size:
            raise self.refuse("must be positive", "data_param.batch_size")
        self._transformer = self.transformer(_plain(layer.transform_param))
        self._video = self._reader = Video(p.video_file, p.skip_frames)

    def open(self) -> Loader:
        data = self.param.data_param
        plan = self.plan(data.batch_size, 0, threads=1)  # one after the other, and none beyond the end unless it is asked for
        return Loader(self._video, self._transformer, plan, False, read=self._video.sample, order=self._video.order)


@layer("WindowData")
class WindowData(ImageSource):
    """Tops: data (N, 3, S, S) float32, S being crop_size; label (N,), 0 for background. Windows of a file, drawn anew for each batch.

    Source: weiliu89/caffe (ssd), window_data_layer.cpp. cache_images does nothing: files are read when they are needed.
    """

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        if not layer.window_data_param.source:
            raise self.refuse("must name the file of windows", "window_data_param.source")
        try:
            self._transformer = WindowTransformer(layer, context.phase, self.mean)
        except CaffeError as error:
            raise self.refuse(str(error)) from None
        self._windows = self._reader = WindowFile(layer.window_data_param, context.options.seed)

    def open(self) -> Loader:
        plan = self.plan(self.param.window_data_param.batch_size, 3)  # Caffe's PREFETCH_COUNT
        return Loader(self._windows, self._transformer, plan, False, read=self._windows.sample, order=self._windows.order)
