"""Serves frames of a video file as the loader's records."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path

import cv2
import numpy as np

from netrun.data.datum import NO_OBJECTS, Sample
from ssd_common.errors import CaffeError

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv")


def way_for_video(file: str) -> str:
    """Say in a line how to detect on a video: its frames become pictures."""
    return _way(f"-i {shlex.quote(file)}")


def way_for_camera(number: int) -> str:
    """Say in a line how to detect on ten seconds of a camera: they become pictures."""
    return _way(f"-f v4l2 -i /dev/video{number} -t 10")


def _way(source: str) -> str:
    """source: ffmpeg's words for it."""
    detect = "netrun detect --model deploy.prototxt --weights FILE.caffemodel frames"
    return f"`mkdir frames; ffmpeg {source} frames/%05d.jpg`, then `{detect}`"


class Video:
    """Every (skip + 1)-th frame of a file, under its number.

    A caller that asks for frames in order has each decoded once.
    Raises CaffeError for a file that is missing or is not a video.
    """

    def __init__(self, source: str, skip: int = 0) -> None:
        self.source = source
        self._step = skip + 1
        if not Path(source).is_file():
            raise CaffeError(f"{source}: no such video")
        self._capture = cv2.VideoCapture(source)
        self._frames = 0
        if self._capture.isOpened():
            self._frames = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if self._frames < self._step:
            self.close()
            raise CaffeError(f"{source}: cannot be read as a video of at least {self._step} frames")
        self._at = 0  # the decoder's next frame
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._frames // self._step

    @property
    def keys(self) -> list[bytes]:
        """The frames' numbers in the file, as text."""
        return [f"frame {self._number(i)}".encode() for i in range(len(self))]

    def _number(self, index: int) -> int:
        """The number in the file of a record's frame: Caffe skips frames before it takes one."""
        return (index + 1) * self._step - 1

    def order(self, index: int) -> int:
        """Return the record for a sample.

        Raises CaffeError after the last record, where Caffe ends the run.
        """
        if index >= len(self):
            raise CaffeError(f"{self.source}: the video ends after {len(self)} frames")
        return index

    def sample(self, index: int) -> Sample:
        """Decode a record's frame.

        Raises CaffeError where the file holds fewer frames than its header says.
        """
        number = self._number(index)
        good = False
        image: np.ndarray = np.empty(0)
        with self._lock:
            if not self._at <= number < self._at + 2 * self._step:
                self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
                self._at = number
            while self._at < number and self._capture.grab():
                self._at += 1
            if self._at == number:
                good, image = self._capture.read()
            self._at += 1
        if not good:
            raise CaffeError(f"{self.source}: frame {number} of {self._frames} cannot be read")
        return Sample(image, NO_OBJECTS, 0)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
