"""Parameters of SSD on ResNet-101 and ZF, and of DSSD: released counts and their arithmetic."""

from __future__ import annotations

import pytest

import netgen
from netgen.reports.walks import walk_net


def block(inputs: int, channels: int, output: int, kernel: int = 1, *, project: bool = True) -> int:
    """Values that a residual block learns.

    Three or four convolutions without bias, two values of Scale for each of their channels.
    """
    shortcut = 0
    if project:
        shortcut = kernel**2 * inputs * output + 2 * output
    return (
        shortcut
        + kernel**2 * inputs * channels
        + 9 * channels**2
        + channels * output
        + 2 * (2 * channels + output)
    )


def stage(inputs: int, channels: int, blocks: int) -> int:
    output = 4 * channels
    first = block(inputs, channels, output)
    return first + (blocks - 1) * block(output, channels, output, project=False)


RESNET = (
    64 * 3 * 49
    + 2 * 64
    + stage(64, 64, 3)
    + stage(256, 128, 4)
    + stage(512, 256, 23)
    + stage(1024, 512, 3)
)
PYRAMID_321 = block(2048, 256, 1024, 2) + block(1024, 256, 1024, 2) + 2 * block(1024, 256, 1024, 3)
PYRAMID_513 = block(2048, 256, 1024, 2) + 4 * block(1024, 256, 1024, 2)
WIDE = 25  # weights per channel of a 5×5 head
NARROW = 9  # of a 3×3 head


def heads(values: int, channels: list[int]) -> int:
    """Values of the heads; the first two are 5×5, the others 3×3.

    values: per box, 4 and one per class; a cell has 8 boxes. channels: of the source maps.
    """
    weights = [WIDE] * 2 + [NARROW] * (len(channels) - 2)
    pairs = zip(channels, weights, strict=True)
    return sum(8 * values * (n * weight + 1) for n, weight in pairs)


def module(inputs: int, source: int, kernel: int) -> int:
    """A deconvolution with biases, three 3×3 convolutions and their Scales."""
    return kernel**2 * inputs * 512 + 512 + 9 * 512 * (source + 512 + 512) + 3 * 2 * 512


def decoder(sources: list[int], kernels: list[int]) -> int:
    """sources: channels of the maps from the second smallest on."""
    inputs = [1024] + [512] * (len(sources) - 1)
    return sum(map(module, inputs, sources, kernels))


MODULES_321 = block(512, 256, 1024) + block(2048, 256, 1024) + 4 * block(1024, 256, 1024)
DEEP = 2 * (9 * 1024 * 512 + 2 * 512)  # DSSD513's own convolutions before both heads of a map
DSSD321 = (
    decoder([1024, 1024, 1024, 2048, 512], [3, 3, 2, 2, 2])
    + 5 * block(512, 256, 1024)
    + block(1024, 256, 1024)
    + heads(25, [1024] * 6)
)


def dssd513(values: int) -> int:
    below = (
        decoder([1024, 1024, 1024, 1024, 2048, 512], [2] * 6)
        + 6 * block(512, 256, 1024)
        + block(1024, 256, 1024)
    )
    return below + 7 * DEEP + heads(values, [512] * 7)


@pytest.mark.parametrize(
    ("zoo_id", "want", "learnable", "frozen", "statistics"),
    [
        (
            "ssd321_resnet101_voc0712",
            RESNET + PYRAMID_321 + MODULES_321 + heads(25, [1024] * 6),
            116_526_320,
            0,
            156_688,
        ),
        (
            "dssd321_voc0712",
            RESNET + PYRAMID_321 + DSSD321,
            172_380_912,
            RESNET + PYRAMID_321,
            172_063,
        ),
        ("dssd321_voc0712_ft", RESNET + PYRAMID_321 + DSSD321, 172_380_912, 0, 172_063),
        # Frozen: the Scales. Each has two values per channel; BatchNorm has two as well, and one
        # more per layer: 172,063 - 159.
        (
            "dssd321_voc0712_ft_release",
            RESNET + PYRAMID_321 + DSSD321,
            172_380_912,
            172_063 - 159,
            172_063,
        ),
        (
            "ssd513_resnet101_coco",
            RESNET
            + PYRAMID_513
            + block(512, 128, 512)
            + block(2048, 512, 2048)
            + 5 * block(1024, 256, 1024)
            + heads(85, [512, 2048, *[1024] * 5]),
            173_145_304,
            0,
            169_496,
        ),
        (
            "dssd513_coco",
            RESNET + PYRAMID_513 + dssd513(85),
            254_983_896,
            RESNET + PYRAMID_513,
            199_736,
        ),
        # Not released: the same arithmetic, without a module, with one whose shortcut is the map
        # itself, and with two modules.
        (
            "ssd321_resnet101_voc0712_pm_a",
            RESNET + PYRAMID_321 + heads(25, [512, 2048, *[1024] * 4]),
            105_424_112,
            0,
            125_944,
        ),
        (
            "ssd321_resnet101_voc0712_pm_b",
            RESNET
            + PYRAMID_321
            + sum(block(n, 256, n, project=False) for n in (512, 2048, *[1024] * 4))
            + heads(25, [512, 2048, *[1024] * 4]),
            112_390_384,
            0,
            145_418,
        ),
        (
            "ssd321_resnet101_voc0712_pm_d",
            RESNET + PYRAMID_321 + MODULES_321 + 6 * block(1024, 256, 1024) + heads(25, [1024] * 6),
            129_533_168,
            0,
            187_432,
        ),
    ],
)
def test_parameters(zoo_id: str, want: int, learnable: int, frozen: int, statistics: int) -> None:
    """As release_facts.md counts them (section 2), and by hand."""
    found = walk_net(netgen.build(zoo_id, "train"), "train")
    assert found.learnable == learnable == want
    assert (found.frozen, found.statistics) == (frozen, statistics)


def test_frozen_parameters_as_released() -> None:
    assert (RESNET + PYRAMID_321, RESNET + PYRAMID_513) == (85_250_112, 78_242_880)


def test_zf_parameters() -> None:
    """Weights and biases of SSD300 on ZF: conv1 to fc7, SSD's pyramid, L2 factors, heads.

    The heads have 25 values for each box of a cell.
    """

    def conv(inputs: int, output: int, kernel: int) -> int:
        return inputs * output * kernel**2 + output

    body = (
        conv(3, 96, 7)
        + conv(96, 256, 5)
        + conv(256, 384, 3)
        + conv(384, 384, 3)
        + conv(384, 256, 3)
        + conv(256, 1024, 3)
    )
    pyramid = (
        conv(1024, 1024, 1)
        + conv(1024, 256, 1)
        + conv(256, 512, 3)
        + conv(512, 128, 1)
        + 3 * conv(128, 256, 3)
        + 2 * conv(256, 128, 1)
    )
    boxes = ((256, 4), (1024, 6), (512, 6), (256, 6), (256, 4), (256, 4))
    want = body + pyramid + 256 + sum(conv(n, 25 * count, 3) for n, count in boxes)
    found = walk_net(netgen.build("ssd300_zf_voc0712_release", "train"), "train")
    assert found.learnable == want == 12_707_310
