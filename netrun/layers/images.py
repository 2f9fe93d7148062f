"""Images with one label each: Data, ImageData, VideoData and WindowData."""

from __future__ import annotations

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.lmdb_reader import LmdbReader
from netrun.data.datum import Sample, decode_datum
from netrun.data.loader import Loader
from netrun.data.records import ImageList, Order
from netrun.data.video import Video, way_for_camera
from netrun.data.windows import WindowFile, WindowTransformer
from netrun.layers.image_source import ImageSource
from netrun.layers.registry import layer
from ssd_common.errors import CaffeError

_PREFETCH_COUNT = 3  # Caffe's number of batches that a layer without data_param prepares


def _plain(param: pb.TransformationParameter) -> pb.TransformationParameter:
    """The parameters without those that the fork applies in AnnotatedData only."""
    plain = pb.TransformationParameter()
    plain.CopyFrom(param)
    for field in ("distort_param", "expand_param", "emit_constraint"):
        plain.ClearField(field)
    return plain


@layer("Data")
class Data(ImageSource):
    """Images and labels from an LMDB of Datums, encoded or raw, in the order of their keys.

    Tops: data (N, C, H, W) float32, (pixel - mean) * scale; label (N,).
    Of transform_param, resize, noise, crop, mirror, mean and scale apply. rand_skip does nothing,
    as in the fork.

    Raises CaffeError for an LMDB that is missing, empty or truncated, LayerError for parameters
    that the fork refuses.
    Source: weiliu89/caffe (ssd), data_layer.cpp, data_reader.cpp and data_transformer.cpp.
    """

    def set_up(self) -> None:
        """Open the LMDB."""
        super().set_up()
        self.needs_lmdb()
        self._transform = _plain(self.param.transform_param)
        self._transformer = self.transformer(self._transform)
        self._lmdb = LmdbReader(self.param.data_param.source)
        self._reader = self._lmdb

    def open(self) -> Loader:
        """The loader of the LMDB's Datums."""
        data = self.param.data_param
        plan = self.plan(data.batch_size, data.prefetch)
        return Loader(
            self._lmdb,
            self._transformer,
            plan,
            False,
            read=self._read,
        )

    def _read(self, record: int) -> Sample:
        """Decode a record. Raises CaffeError for float values that need resizing or noise."""
        p = self._transform
        value = self._lmdb.value(record)
        sample = decode_datum(value, p.force_color, p.force_gray, self.mean)
        is_resized = p.HasField("resize_param")
        needs_bytes = is_resized or p.HasField("noise_param")
        if needs_bytes and sample.image.dtype != np.uint8:
            records = "raw records of float_data, or with a mean_file,"
            what = f"{records} cannot be resized or given noise"
            raise CaffeError(f"{self._lmdb.source}: {what}")
        return sample


@layer("ImageData")
class ImageData(ImageSource):
    """Images and labels from files that a list names, in the list's order or shuffled.

    Tops: data (N, C, H, W) float32, (pixel - mean) * scale; label (N,).
    The layer scales an image to new_height x new_width, then transforms it as Data does. It skips
    an unreadable file like a corrupt record; a strict run stops there, as Caffe does.

    Raises CaffeError for a list that is missing, empty or lacks a label, LayerError for
    parameters that the fork refuses.
    Source: weiliu89/caffe (ssd), image_data_layer.cpp.
    """

    def set_up(self) -> None:
        """Read the list of files."""
        super().set_up()
        p = self.param.image_data_param
        if not p.source:
            what = "must name the list of images"
            raise self.refuse(what, "image_data_param.source")
        transform = _plain(self.param.transform_param)
        self._transformer = self.transformer(transform)
        size = None
        if p.new_height and p.new_width:
            size = (p.new_height, p.new_width)
        self._list = ImageList(p.source, p.root_folder, size, p.is_color)
        self._reader = self._list
        count = len(self._list)
        if p.rand_skip > count:
            what = f"must not exceed the {count} images of {p.source}"
            raise self.refuse(what, "image_data_param.rand_skip")
        seed = self.context.options.seed
        self._order = Order(count, seed, p.shuffle, p.rand_skip)

    def open(self) -> Loader:
        """The loader of the listed files."""
        size = self.param.image_data_param.batch_size
        plan = self.plan(size, _PREFETCH_COUNT)
        return Loader(
            self._list,
            self._transformer,
            plan,
            False,
            read=self._list.sample,
            order=self._order,
        )


@layer("VideoData")
class VideoData(ImageSource):
    """Frames of a video file, transformed as Data's images are.

    Tops: data (N, C, H, W) float32, (pixel - mean) * scale; label (N,), zeros.
    After the last frame a CaffeError ends the run, where the fork ends it by SIGINT. The layer
    skips skip_frames frames before each one that it takes; the fork intends this, but writes
    outside its memory.

    Raises LayerError for a webcam and parameters that the fork refuses.
    Source: weiliu89/caffe (ssd), video_data_layer.cpp.
    """

    def set_up(self) -> None:
        """Open the video."""
        super().set_up()
        p = self.param.video_data_param
        if p.video_type == p.WEBCAM:
            what = "netrun reads VIDEO, not the WEBCAM (Caffe's default)"
            way = way_for_camera(p.device_id)
            if p.video_file:
                way = "for video_file write video_type: VIDEO"
            raise self.refuse(f"{what}; {way}", "video_data_param.video_type")
        if not p.video_file:
            raise self.refuse("must name the video", "video_data_param.video_file")
        if not self.param.data_param.batch_size:
            raise self.refuse("must be positive", "data_param.batch_size")
        transform = _plain(self.param.transform_param)
        self._transformer = self.transformer(transform)
        self._video = Video(p.video_file, p.skip_frames)
        self._reader = self._video

    def open(self) -> Loader:
        """The loader of the frames.

        It reads them in order, and none beyond the end until a pass asks for it.
        """
        size = self.param.data_param.batch_size
        plan = self.plan(size, 0, threads=1)
        return Loader(
            self._video,
            self._transformer,
            plan,
            False,
            read=self._video.sample,
            order=self._video.order,
        )


@layer("WindowData")
class WindowData(ImageSource):
    """Windows of images that a file lists, newly drawn for each batch.

    Tops: data (N, 3, S, S) float32, where S is crop_size; label (N,), 0 for background.
    cache_images does nothing: the layer reads files when it needs them.

    Raises CaffeError for a file that cannot be read, LayerError for parameters that the fork
    refuses.
    Source: weiliu89/caffe (ssd), window_data_layer.cpp.
    """

    def set_up(self) -> None:
        """Read the file of windows."""
        super().set_up()
        p = self.param.window_data_param
        context = self.context
        if not p.source:
            what = "must name the file of windows"
            raise self.refuse(what, "window_data_param.source")
        try:
            self._transformer = WindowTransformer(self.param, context.phase, self.mean)
        except CaffeError as error:
            raise self.refuse(str(error)) from None
        self._windows = WindowFile(p, context.options.seed)
        self._reader = self._windows

    def open(self) -> Loader:
        """The loader of the windows."""
        size = self.param.window_data_param.batch_size
        plan = self.plan(size, _PREFETCH_COUNT)
        return Loader(
            self._windows,
            self._transformer,
            plan,
            False,
            read=self._windows.sample,
            order=self._windows.order,
        )
