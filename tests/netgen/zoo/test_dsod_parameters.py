"""Parameters of DSOD: learned values and statistics of BatchNorm, counted by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

import netgen
from netgen.reports.walks import walk_net


def unit(inputs: int, outputs: int, kernel: int) -> tuple[int, int]:
    """A unit's learned values and statistics.

    BatchNorm and Scale on the inputs have two values each for every input, BatchNorm a factor
    besides; the convolution has weights only.
    """
    return 2 * inputs + inputs * outputs * kernel**2, 2 * inputs + 1


def head(channels: int, boxes: int, classes: int) -> list[tuple[int, int]]:
    """The L2 norm's factors; offsets and classes: 3x3 weights, factor and shift of each output."""
    parts = [(channels, 0)]
    for outputs in (4 * boxes, classes * boxes):
        parts.append((channels * outputs * 9 + 2 * outputs, 2 * outputs + 1))
    return parts


def backbone(spec: tuple) -> tuple[list, int, int]:
    """Its parts, channels of First, and of the last dense block.

    spec: A, B, k, θ, layers of the blocks, with or without stem.
    """
    first, bottleneck, growth, theta, blocks, stem = spec
    convs = [(3, first, 7)]
    if stem:
        convs = [(3, first, 3), (first, first, 3), (first, 2 * first, 3)]
    parts = [(i * o * k**2 + 2 * o, 2 * o + 1) for i, o, k in convs]
    channels = convs[-1][1]
    stride8 = 0
    for number, layers in enumerate(blocks):
        for _ in range(layers):
            parts += [unit(channels, bottleneck, 1), unit(bottleneck, growth, 3)]
            channels += growth
        if number < len(blocks) - 1:
            parts.append(unit(channels, int(channels * theta), 1))
            channels = int(channels * theta)
        if number == 1:
            stride8 = channels
    return parts, stride8, channels


def dense(spec: tuple, classes: int = 21) -> tuple[int, int]:
    parts, first, last = backbone(spec)
    parts += [unit(last, 256, 1), unit(first, 256, 1)]
    maps = [first, 512, 512, 256, 256, 256]
    for above, channels in pairwise(maps[1:]):
        half = channels // 2
        parts += [unit(above, half, 1), unit(above, half, 1), unit(half, half, 3)]
    return total(parts, maps, classes)


def plain(spec: tuple, later: int) -> tuple[int, int]:
    parts, first, last = backbone(spec)
    maps = [first, int(last * spec[3]), 512, later, later, later]
    parts.append(unit(last, maps[1], 1))
    for above, inner, channels in zip(maps[1:], (256, 128, 128, 128), maps[2:], strict=False):
        parts += [unit(above, inner, 1), unit(inner, channels, 3)]
    return total(parts, maps, 21)


def total(parts: list[tuple[int, int]], maps: list[int], classes: int) -> tuple[int, int]:
    """Learned values and statistics of these parts, and of heads on these maps."""
    parts = list(parts)
    for channels, boxes in zip(maps, (4, 6, 6, 6, 4, 4), strict=True):
        parts += head(channels, boxes, classes)
    return sum(learned for learned, _ in parts), sum(statistics for _, statistics in parts)


FULL = (6, 8, 8, 8)
# id → learned values and statistics, and the parameters in millions that the paper (Tables 3 and 4,
# §4.1) and the authors' README print. These count the statistics: 14.8M is a file of 59.2 MB.
COUNTS = {
    "dsod300_voc0712": (dense((64, 192, 48, 1, FULL, True)), 14.8),
    "dsod300_coco": (dense((64, 192, 48, 1, FULL, True), 81), 87.2 / 4),  # MB of the file
    "dsod300_voc0712_smallest": (dense((64, 64, 16, 1, FULL, True)), 5.9),
    "dsod300_voc0712_lite": (dense((64, 256, 64, 1, (3, 4, 4, 4), True)), 10.4),
    "dsod300_voc0712_plain": (plain((64, 192, 48, 1, FULL, True), 128), 18.2),
    "dsod300_voc0712_ds32_12_16_05_nostem_3blocks": (
        plain((32, 12, 16, 0.5, FULL[:3], False), 256),
        4.1,
    ),
    "dsod300_voc0712_ds32_12_16_05_nostem": (plain((32, 12, 16, 0.5, FULL, False), 256), 4.2),
    "dsod300_voc0712_ds32_12_16_1_nostem": (plain((32, 12, 16, 1, FULL, False), 256), 5.5),
    "dsod300_voc0712_ds32_64_16_1_nostem": (plain((32, 64, 16, 1, FULL, False), 256), 6.1),
    "dsod300_voc0712_ds64_64_16_1_nostem": (plain((64, 64, 16, 1, FULL, False), 256), 6.3),
    "dsod300_voc0712_ds64_192_48_1_nostem": (plain((64, 192, 48, 1, FULL, False), 256), 18.0),
    "dsod300_voc0712_ds64_12_16_1": (plain((64, 12, 16, 1, FULL, True), 128), 5.2),
    "dsod300_voc0712_ds64_36_48_1": (plain((64, 36, 48, 1, FULL, True), 128), 12.5),
}
# Printed counts that nothing reaches, and the difference; the cards tell them.
MISSED = {"dsod300_voc0712_ds32_12_16_1_nostem": -0.06, "dsod300_voc0712_ds64_36_48_1": -0.17}


@pytest.mark.parametrize("zoo_id", COUNTS)
def test_parameters(zoo_id: str) -> None:
    by_hand, printed = COUNTS[zoo_id]
    found = walk_net(netgen.build(zoo_id, "deploy"), "deploy")
    assert (found.learnable, found.statistics) == by_hand
    assert found.frozen == 0
    tolerance = 0.05
    if zoo_id in MISSED:
        printed += MISSED[zoo_id]
        tolerance = 0.01
    assert sum(by_hand) / 1e6 == pytest.approx(printed, abs=tolerance)


def test_released_counts() -> None:
    """release_facts.md, section 2."""
    assert COUNTS["dsod300_voc0712"][0] == (14_715_804, 80_024)
    assert COUNTS["dsod300_coco"][0] == (21_700_524, 83_624)
    found = walk_net(netgen.build("grp_dsod320_voc0712_release", "train"), "train")
    # Frozen: five bilinear filters of k·k values, 342·128 and 172·171 with k = 2, …
    frozen = 4 * (342 * 128 + 172 * 171 + 172 * 86) + 172 * 86 + 256 * 86
    assert (found.learnable, found.frozen, found.statistics) == (15_928_690, frozen, 26_637)
    assert frozen == 388_728
    millions = (found.learnable + found.statistics) / 1e6
    assert millions == pytest.approx(16.0, abs=0.05)  # README, 63.9 MB


def test_figure_1s_widths_give_more_than_is_printed_for_a_stem() -> None:
    assert sum(plain((64, 192, 48, 1, FULL, True), 256)) == 19_110_159
    assert sum(plain((64, 192, 48, 1, FULL, True), 128)) == 18_230_415


def test_dense_prediction_on_vgg16() -> None:
    """SSD300's 20,483,904 values of VGG16 up to fc7, then maps of 512, 1024, 512, 256, 256, 256.

    Table 4 prints 26.0M, and 26.3M for the plain net.
    """
    widths = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 1024)
    vgg = sum(i * o * 9 + o for i, o in pairwise(widths))
    vgg += 1024 * 1024 + 1024
    assert vgg == 20_483_904
    maps = [512, 1024, 512, 256, 256, 256]
    parts = [(vgg, 0), unit(1024, 512, 1), unit(512, 512, 1)]
    for above, channels in pairwise(maps[1:]):
        half = channels // 2
        parts += [unit(above, half, 1), unit(above, half, 1), unit(half, half, 3)]
    found = walk_net(netgen.build("ssd300_voc0712_dense", "deploy"), "deploy")
    assert (found.learnable, found.statistics) == total(parts, maps, 21) == (26_446_620, 14_070)
    assert found.priors == 8732
