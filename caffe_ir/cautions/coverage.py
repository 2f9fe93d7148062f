"""Whether a test shows every image once."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.cautions.images import Images, batch_size, data_layer, known_images


@dataclass(frozen=True)
class Coverage:
    """How often a test shows its images.

    images: how many there are.
    batch: images per batch.
    passes: batches of the test.
    form: how the user writes the number of batches, such as "test_iter: {}".
    """

    images: Images
    batch: int
    passes: int
    form: str

    @property
    def left_out(self) -> int:
        """How many images the test never shows."""
        return max(0, self.images.count - self.batch * self.passes)

    @property
    def caution(self) -> str | None:
        """What the score counts wrongly, and the right numbers; None where nothing is wrong."""
        surplus = self.batch * self.passes - self.images.count
        if not surplus:
            return None
        test = f"{self._written(self.passes)} with batch_size {self.batch}"
        return f"{test} {self._fault(surplus)}; {self._remedy()}"

    def _written(self, passes: int) -> str:
        return self.form.format(passes)

    def _fault(self, surplus: int) -> str:
        count = self.images.count
        of_them = f"of the {count} images ({self.images.source})"
        if surplus < 0:
            return f"leaves out {-surplus} {of_them}"
        if surplus <= count:
            return f"counts {surplus} {of_them} twice"
        times = self.batch * self.passes / count
        return f"counts each {of_them} {times:.3g} times"

    def _remedy(self) -> str:
        count = self.images.count
        if count % self.batch == 0:
            return f"set {self._written(count // self.batch)}"
        batch = nearest_divisor(count, self.batch)
        exact = f"batch_size: {batch} and {self._written(count // batch)} count each once"
        passes = -(-count // self.batch)
        if passes == self.passes:
            return exact
        twice = passes * self.batch - count
        return f"{exact}, {self._written(passes)} counts {twice} twice"


def coverage(net: pb.NetParameter, passes: int, form: str) -> Coverage | None:
    """Return how often a test shows its images; None where their number is not known.

    net: filtered for TEST.
    passes, form: as in `Coverage`.
    """
    layer = data_layer(net)
    if layer is None or not batch_size(layer) or not passes:
        return None
    images = known_images(net)
    if images is None:
        return None
    return Coverage(images, batch_size(layer), passes, form)


def nearest_divisor(number: int, to: int) -> int:
    """Return the divisor of a number that is nearest to another; of two, the smaller."""
    small = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    large = [number // n for n in small]
    return min(small + large, key=lambda n: (abs(n - to), n))
