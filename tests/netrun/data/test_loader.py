from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.lmdb_reader import LmdbReader
from netrun.data.buffers import Buffers
from netrun.data.loader import Draws, Loader, Plan
from ssd_common.errors import CaffeError, LayerError
from tests.netrun.data.augmentation import AUGMENTED, SAMPLERS, transformer
from tests.netrun.data.records import coded, layer, pixels, record, write

BOX = (0.25, 0.25, 0.5, 0.75)


def value(number: int, boxes: int = 1) -> bytes:
    return record(coded(pixels(seed=number)), [(number % 3 + 1, BOX, True)] * boxes)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Seven images, of which the first has no object."""
    return write(tmp_path / "db", [(f"{i:08d}", value(i, boxes=i)) for i in range(7)])


def loader(source: Path, batch: int, **plan: object) -> Loader:
    how = Plan(batch, **plan)  # type: ignore[arg-type]
    return Loader(LmdbReader(source), transformer(AUGMENTED, SAMPLERS), how)


def same(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_rows_and_order(source: Path) -> None:
    """Records in key order, round and round; rows are item, label, instance, corners, difficult."""
    data_layer = layer(source, 4, phase=pb.TEST)
    for batch in range(5):
        data, label = data_layer.forward([])
        assert (data.dtype, data.shape) == (torch.float32, (4, 3, 60, 80))
        expected = []
        for item in range(4):
            number = (batch * 4 + item) % 7
            np.testing.assert_array_equal(
                data[item].numpy(), pixels(seed=number).transpose(2, 0, 1)
            )
            expected += [[item, number % 3 + 1, instance, *BOX, 1] for instance in range(number)]
        assert label.tolist() == [[expected]]
    data_layer.close()


def test_one_row_of_minus_one_without_objects(source: Path) -> None:
    data_layer = layer(source, 1, phase=pb.TEST)
    assert data_layer.forward([])[1].tolist() == [[[[-1] * 8]]]


def test_a_generator_kept_draws_as_a_new_one() -> None:
    """Whatever it drew before: half a word of Philox is left over after the first draws."""
    draws = Draws()
    for seed, index in ((0, 0), (-1, 5), (7, 1 << 40)):
        key = np.array([seed % (1 << 64), index], np.uint64)
        kept, new = draws.of(seed, index), np.random.Generator(np.random.Philox(key=key))
        for rng in (kept, new):
            rng.random(3, np.float32)
        assert kept.bit_generator.random_raw(9).tolist() == new.bit_generator.random_raw(9).tolist()
        assert kept.random(5, np.float32).tolist() == new.random(5, np.float32).tolist()


def test_raw_pixels_can_be_distorted(tmp_path: Path) -> None:
    """In place, though the record's bytes are not to be written to; a colour image of one pixel is
    laid out as they are.
    """
    raw = pb.AnnotatedDatum(
        datum=pb.Datum(channels=3, height=1, width=1, data=bytes((10, 20, 30)), label=1)
    )
    source = write(tmp_path / "db", [("a", raw.SerializeToString())])
    made = Loader(
        LmdbReader(source),
        transformer("distort_param { brightness_prob: 1 brightness_delta: 0 }"),
        Plan(1),
    )
    assert next(made)[0].ravel().tolist() == [10, 20, 30]
    made.close()


def test_any_batch_can_be_sought(source: Path) -> None:
    straight = loader(source, 3)
    batches = [next(straight) for _ in range(8)]
    assert not same(
        batches[0], batches[7]
    )  # the same records, seven batches on, differently augmented
    for number in (5, 0, 7, 7, 2):
        straight.seek(number)
        assert same(next(straight), batches[number])
    resumed = layer(source, 3, AUGMENTED, SAMPLERS)
    resumed.seek(6)
    assert same(tuple(resumed.forward([])), batches[6])
    assert same(tuple(resumed.forward([])), batches[7])
    resumed.seek(1)
    assert same(tuple(resumed.forward([])), batches[1])
    assert not same(next(loader(source, 3, seed=1)), batches[0])


@pytest.mark.parametrize("plan", [{"threads": 1}, {"threads": 5}, {"ahead": 0}])
def test_threads_and_depth_change_nothing(source: Path, plan: dict[str, int]) -> None:
    one, other = loader(source, 3, threads=2), loader(source, 3, **plan)
    assert all(same(next(one), next(other)) for _ in range(4))


def test_processes_share_the_run(source: Path) -> None:
    """Two processes with batches of 2 see what one sees with batches of 4."""
    whole, parts = loader(source, 4), [loader(source, 2, rank=rank, world=2) for rank in range(2)]
    for _ in range(3):
        data, label = next(whole)
        (first, _), (second, rows) = (next(part) for part in parts)
        assert torch.equal(data, torch.cat([first, second]))
        rows = rows[rows[..., 0] >= 0]
        rows[:, 0] += 2
        np.testing.assert_array_equal(label[label[..., 0] >= 2].numpy(), rows.numpy())


def test_memory_is_used_again_but_never_too_early() -> None:
    buffers = Buffers((2, 3))
    first = buffers.take()
    place = first.data_ptr()
    row = first[1]
    del first
    second = buffers.take()
    array = row.numpy()
    del row
    third = buffers.take()
    assert place not in {second.data_ptr(), third.data_ptr()}
    del array
    assert buffers.take().data_ptr() == place


def test_threads_end(source: Path) -> None:
    def running() -> int:
        return sum(t.name.startswith("netrun-data") for t in threading.enumerate())

    before = running()
    data_layer = layer(source, 2)
    data_layer.close()
    data_layer = layer(source, 2, AUGMENTED, SAMPLERS)
    data_layer.forward([])
    assert running() > before
    data_layer.close()
    assert running() == before


JPEG = coded(pixels(), ".jpg")
DAMAGE = {
    "not an AnnotatedDatum": b"\xff\xff\xff\xff",
    "without a datum": b"",
    "a truncated JPEG": record(JPEG[: len(JPEG) // 2], []),
    "cannot be decoded": record(b"\x89PNG and nothing else", []),
    "an image of uint16": record(coded(pixels().astype(np.uint16)), []),
    "0 bytes of raw pixels": pb.AnnotatedDatum(
        datum=pb.Datum(channels=3, height=2, width=2)
    ).SerializeToString(),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_unreadable_record(tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str) -> None:
    """The next readable one takes its place, with one warning that names its key; a strict layer
    stops.
    """
    source = write(
        tmp_path / "db",
        [("a", value(1)), ("b", DAMAGE[what]), ("c", DAMAGE[what]), ("d", value(4))],
    )
    data_layer = layer(source, 4, phase=pb.TEST)
    with caplog.at_level(logging.WARNING, "netrun"):
        for _ in range(2):
            data, _ = data_layer.forward([])
            for item, number in enumerate((1, 4, 4, 4)):
                np.testing.assert_array_equal(
                    data[item].numpy(), pixels(seed=number).transpose(2, 0, 1)
                )
    data_layer.close()
    *messages, last = (r.getMessage() for r in caplog.records)
    assert last.endswith("skipped 2 corrupt records and 0 corrupt objects of others")
    assert sorted(m.split("'")[1] for m in messages) == ["b", "c"]
    assert all(what in m and str(source) in m for m in messages)
    strict = layer(source, 4, phase=pb.TEST, strict=True)
    with pytest.raises(CaffeError, match=f"record '[bc]' cannot be read: .*{what}"):
        strict.forward([])
    strict.close()


def test_nothing_readable(tmp_path: Path) -> None:
    source = write(tmp_path / "db", [("a", b"\xff"), ("b", b"\xff")])
    with pytest.raises(CaffeError, match="none of the 2 records can be read"):
        layer(source, 1).forward([])


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("corners", "what"),
    [
        ((0.1, NAN, 0.5, 0.5), "finite"),
        ((0.1, 0.1, INF, 0.5), "finite"),
        ((0.5, 0.1, 0.4, 0.5), "empty or inverted"),
        ((0.5, 0.1, 0.6, 0.1), "empty or inverted"),
        ((1.0, 0.1, 1.2, 0.5), "outside the image"),
        ((0.1, -0.4, 0.5, -0.1), "outside the image"),
    ],
)
def test_corrupt_box(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    corners: tuple[float, float, float, float],
    what: str,
) -> None:
    """It is left out, with one warning that names its record, and counted at the end; a strict
    layer stops.
    """
    source = write(
        tmp_path / "db",
        [("the_key", record(JPEG, [(1, BOX, False), (2, corners, False), (3, corners, False)]))],
    )
    data_layer = layer(source, 1, phase=pb.TEST)
    with caplog.at_level(logging.WARNING, "netrun"):
        for _ in range(2):
            _, label = data_layer.forward([])
            assert label[0, 0, :, 1].tolist() == [1]
        data_layer.close()
    first, last = (r.getMessage() for r in caplog.records)
    assert "'the_key' has box (" in first
    assert what in first
    assert "and 1 more" in first
    assert last.endswith("skipped 0 corrupt records and 2 corrupt objects of others")
    strict = layer(source, 1, strict=True)
    with pytest.raises(CaffeError, match=f"'the_key' has box .*{what}"):
        strict.forward([])
    strict.close()


def test_box_that_reaches_beyond_the_image_is_clipped(tmp_path: Path) -> None:
    source = write(tmp_path / "db", [("a", record(JPEG, [(1, (-0.5, 0.25, 0.5, 3.0), False)]))])
    _, label = layer(source, 1, phase=pb.TEST).forward([])
    assert label[0, 0, 0, 3:7].tolist() == [0, 0.25, 0.5, 1]


def test_label_that_the_labelmap_lacks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write(tmp_path / "db", [("first", value(0)), ("second", value(1))])  # labels 1 and 2
    (tmp_path / "map.prototxt").write_text(
        'item { name: "none" label: 0 } item { name: "one" label: 1 }'
    )
    with caplog.at_level(logging.WARNING, "netrun"):
        _, label = layer(source, 2, annotated=f'label_map_file: "{tmp_path}/map.prototxt"').forward(
            []
        )
    assert set(label[0, 0, :, 1].tolist()) == {1}
    assert "record 'second' has label 2, which the labelmap has not" in caplog.text
    strict = layer(source, 2, annotated=f'label_map_file: "{tmp_path}/map.prototxt"', strict=True)
    with pytest.raises(CaffeError, match="record 'second' has label 2, which the labelmap has not"):
        strict.forward([])
    with caplog.at_level(logging.WARNING, "netrun"):
        layer(source, 2, annotated='label_map_file: "nowhere"').forward([])
    assert "nowhere: no such file" in caplog.text


def test_an_error_does_not_end_the_loader(tmp_path: Path) -> None:
    """The batch with an image of another size fails, each time; the batches around it do not."""
    values = [value(0), value(1), record(coded(pixels(30, 30)), []), value(3), value(4), value(5)]
    source = write(tmp_path / "db", list(zip("abcdef", values, strict=True)))
    data_layer = layer(source, 2)
    data_layer.forward([])
    for _ in range(2):
        with pytest.raises(
            CaffeError, match=r"record 'c': its data are \(3, 30, 30\).*resize_param"
        ):
            data_layer.forward([])
    data_layer.seek(2)
    np.testing.assert_array_equal(
        data_layer.forward([])[0][0].numpy(), pixels(seed=4).transpose(2, 0, 1)
    )
    data_layer.close()


def test_a_batch_of_one_has_its_images_size(tmp_path: Path) -> None:
    source = write(tmp_path / "db", [("a", value(0)), ("b", record(coded(pixels(30, 40)), []))])
    data_layer = layer(source, 1, phase=pb.TEST)
    assert [tuple(data_layer.forward([])[0].shape) for _ in range(3)] == [
        (1, 3, 60, 80),
        (1, 3, 30, 40),
        (1, 3, 60, 80),
    ]


def test_classification_records(tmp_path: Path) -> None:
    """Records without an annotation type carry a label of the whole image.

    Raw pixels are channels first.
    """
    image = pixels(4, 5)
    datum = pb.Datum(
        channels=3, height=4, width=5, data=image.transpose(2, 0, 1).tobytes(), label=7
    )
    records = [("a", pb.AnnotatedDatum(datum=datum).SerializeToString())]
    data, label = layer(write(tmp_path / "db", records), 2, phase=pb.TEST).forward([])
    np.testing.assert_array_equal(data[1].numpy(), image.transpose(2, 0, 1))
    assert label.tolist() == [7, 7]
    assert layer(tmp_path / "db", 2, annotated="anno_type: BBOX").forward([])[1].shape == (
        1,
        1,
        1,
        8,
    )
    datum.ClearField("label")
    records = [("a", pb.AnnotatedDatum(datum=datum).SerializeToString())]
    with pytest.raises(CaffeError, match="neither annotations nor a label"):
        layer(write(tmp_path / "none", records), 1).forward([])


def test_fit_small_size_takes_each_image_as_it_is(tmp_path: Path) -> None:
    source = write(
        tmp_path / "db",
        [("a", record(coded(pixels(60, 80)), [])), ("b", record(coded(pixels(80, 40)), []))],
    )
    prototxt = "resize_param { resize_mode: FIT_SMALL_SIZE width: 30 height: 30 }"
    data_layer = layer(source, 1, prototxt)
    assert [tuple(data_layer.forward([])[0].shape) for _ in range(3)] == [
        (1, 3, 30, 40),
        (1, 3, 60, 30),
        (1, 3, 30, 40),
    ]
    data_layer.close()
    with pytest.raises(CaffeError, match="batch_size must be 1, is 2"):
        layer(source, 2, prototxt).forward([])


@pytest.mark.parametrize(
    ("force", "channels"), [("", 1), ("force_color: true", 3), ("force_gray: true", 1)]
)
def test_channels(tmp_path: Path, force: str, channels: int) -> None:
    source = write(tmp_path / "db", [("a", record(coded(pixels(channels=1), ".jpg"), []))])
    assert layer(source, 1, force).forward([])[0].shape == (1, channels, 60, 80)
    if channels == 1:
        with pytest.raises(
            CaffeError, match="record 'a': distort_param needs a colour image; set force_color"
        ):
            layer(source, 1, f"{force} distort_param {{ hue_prob: 1 }}").forward([])


def test_refuses_leveldb_and_batches_of_none(source: Path) -> None:
    with pytest.raises(LayerError, match=r"layer 'data', data_param\.backend: netrun reads LMDB"):
        layer(source, 1, backend="LEVELDB")
    with pytest.raises(LayerError, match="batch_size: must be positive"):
        layer(source, 0)
    with pytest.raises(CaffeError, match="nowhere: no LMDB here"):
        layer("nowhere", 1)
