"""Data, ImageData and MemoryData in nets: what they give, in which order, and what they refuse."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError
from tests.netrun.data.records import coded, pixels, record, write
from tests.netrun.small_nets import build, layer

RAW = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)  # two images


def lmdb(folder: Path, records: list[pb.Datum]) -> str:
    return str(
        write(
            folder / "db",
            [(f"{i:04d}", record.SerializeToString()) for i, record in enumerate(records)],
        )
    )


def raw(index: int) -> pb.Datum:
    return pb.Datum(channels=3, height=4, width=5, data=RAW[index].tobytes(), label=index + 5)


def data_net(
    source: str, batch: int, transform: str = "", phase: int = netrun.TEST, **options: object
) -> netrun.Net:
    fields = (
        f'data_param {{ source: "{source}" batch_size: {batch} backend: LMDB }} '
        f"transform_param {{ {transform} }}"
    )
    return build(layer("Data", "", "x l", fields), phase, **options)


def test_raw_datums(tmp_path: Path) -> None:
    net = data_net(
        lmdb(tmp_path, [raw(0), raw(1)]), 3, "scale: 0.5 mean_value: 1 mean_value: 2 mean_value: 3"
    )
    assert net.blobs["x"].shape == (3, 3, 4, 5)  # known before the first pass
    out = net.forward()
    expected = (RAW[[0, 1, 0]].astype(float) - np.array([1, 2, 3]).reshape(3, 1, 1)) / 2
    np.testing.assert_allclose(out["x"], expected)
    assert out["l"].tolist() == [5, 6, 5]
    assert net.forward()["l"].tolist() == [6, 5, 6]
    net.seek(0)
    assert net.forward()["l"].tolist() == [5, 6, 5]
    net.close()


def test_a_mean_file_is_taken_off_raw_datums_before_cropping(tmp_path: Path) -> None:
    mean = np.random.default_rng(1).random((3, 4, 5)).astype(np.float32) * 9
    blob = pb.BlobProto(num=1, channels=3, height=4, width=5, data=mean.ravel().tolist())
    (tmp_path / "mean").write_bytes(blob.SerializeToString())
    source = lmdb(tmp_path, [raw(0), raw(1)])
    net = data_net(source, 1, f'mean_file: "{tmp_path}/mean" crop_size: 2')
    assert net.blobs["x"].shape == (1, 3, 2, 2)
    np.testing.assert_allclose(net.forward()["x"][0], (RAW[0] - mean)[:, 1:3, 1:3], rtol=1e-5)
    train = data_net(source, 2, f'mean_file: "{tmp_path}/mean" mirror: true', netrun.TRAIN)
    seen = {
        bool(np.allclose(image, RAW[i] - mean))
        for _ in range(6)
        for i, image in enumerate(train.forward()["x"])
    }
    assert seen == {True, False}
    for i, image in enumerate(train.forward()["x"]):  # the mean is mirrored with the image
        assert any(
            np.allclose(image, side) for side in (RAW[i] - mean, (RAW[i] - mean)[:, :, ::-1])
        )
    small = lmdb(tmp_path / "small", [pb.Datum(channels=3, height=2, width=2, data=bytes(12))])
    with pytest.raises(
        CaffeError,
        match=r"mean_file is \(3, 4, 5\) \(channels, height, width\), the record \(3, 2, 2\)",
    ):
        data_net(small, 1, f'mean_file: "{tmp_path}/mean"')


def test_float_data_and_grey_images(tmp_path: Path) -> None:
    values = np.random.default_rng(2).standard_normal((6, 2, 3)).astype(np.float32)
    net = data_net(
        lmdb(
            tmp_path, [pb.Datum(channels=6, height=2, width=3, float_data=values.ravel().tolist())]
        ),
        1,
        "scale: 2",
    )
    np.testing.assert_allclose(net.forward()["x"][0], values * 2, rtol=1e-6)
    assert net.blobs["l"].data.tolist() == [0]
    grey = pb.Datum(encoded=True, data=cv2.imencode(".png", RAW[0, 0])[1].tobytes())
    source = lmdb(tmp_path / "grey", [grey])
    assert data_net(source, 1, "crop_size: 4").blobs["x"].shape == (1, 1, 4, 4)
    assert data_net(source, 1, "force_color: true").forward()["x"].shape == (1, 3, 4, 5)


def test_a_record_of_another_kind_says_which_layer_reads_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = str(write(tmp_path / "db", [("a", record(coded(pixels(4, 4)), []))]))
    with pytest.raises(CaffeError, match="none of the 1 records can be read"):
        data_net(source, 1)
    assert "a Datum without data (AnnotatedData reads records that hold boxes)" in caplog.text


def test_annotated_data_of_no_stated_size_takes_its_images(tmp_path: Path) -> None:
    source = write(
        tmp_path / "db",
        [("a", record(coded(pixels(20, 30)), [(1, (0.25, 0.25, 0.5, 0.75), False)]))],
    )
    fields = (
        f'data_param {{ source: "{source}" batch_size: 2 backend: LMDB }} '
        f"annotated_data_param {{ }}"
    )
    net = build(layer("AnnotatedData", "", "x l", fields), netrun.TEST)
    assert (net.blobs["x"].shape, net.blobs["l"].shape) == ((2, 3, 20, 30), (1, 1, 1, 8))
    assert net.forward()["x"].shape == (2, 3, 20, 30)
    assert net.blobs["l"].shape == (1, 1, 2, 8)


def test_processes_share_data_without_overlap(tmp_path: Path) -> None:
    source = lmdb(
        tmp_path, [pb.Datum(channels=1, height=1, width=1, data=b"0", label=i) for i in range(8)]
    )
    taken = [data_net(source, 2, rank=rank, world=2).forward()["l"].tolist() for rank in range(2)]
    assert taken == [[0, 1], [2, 3]]


def images(folder: Path, count: int = 6) -> tuple[str, list[np.ndarray]]:
    arrays = [pixels(6 + i, 7, seed=i) for i in range(count)]
    for i, image in enumerate(arrays):
        cv2.imwrite(str(folder / f"im {i}.png"), image)
    (folder / "list.txt").write_text("".join(f"im {i}.png {i * 10}\n" for i in range(count)))
    return f'source: "{folder}/list.txt" root_folder: "{folder}/"', arrays


def list_net(
    fields: str, transform: str = "", phase: int = netrun.TEST, **options: object
) -> netrun.Net:
    return build(
        layer(
            "ImageData",
            "",
            "x l",
            f"image_data_param {{ {fields} }} transform_param {{ {transform} }}",
        ),
        phase,
        **options,
    )


def test_listed_images_are_scaled(tmp_path: Path) -> None:
    fields, arrays = images(tmp_path)
    net = list_net(fields + " batch_size: 4 new_height: 5 new_width: 8", "mean_value: 10")
    out = net.forward()
    for image, array in zip(out["x"], arrays, strict=False):
        np.testing.assert_array_equal(
            image, cv2.resize(array, (8, 5)).transpose(2, 0, 1).astype(np.float32) - 10
        )
    assert out["l"].tolist() == [0, 10, 20, 30]
    assert net.forward()["l"].tolist() == [40, 50, 0, 10]
    grey = list_net(fields + " is_color: false")  # batches of one, each of its image's size
    assert [grey.forward()["x"].shape for _ in range(2)] == [(1, 1, 6, 7), (1, 1, 7, 7)]


def test_shuffled_images_come_once_a_pass_in_an_order_of_their_own(tmp_path: Path) -> None:
    fields, _ = images(tmp_path)
    fields += " batch_size: 3 new_height: 2 new_width: 2 shuffle: true"
    net = list_net(fields)
    passes = [[*net.forward()["l"], *net.forward()["l"]] for _ in range(4)]
    assert all(sorted(one) == [0, 10, 20, 30, 40, 50] for one in passes)
    assert len({tuple(one) for one in passes}) > 1
    net.seek(6)
    assert [*net.forward()["l"], *net.forward()["l"]] == passes[3]
    assert [*list_net(fields, seed=1).forward()["l"]] != passes[0][:3] or passes[0][:3] != [
        0,
        10,
        20,
    ]
    both = [list_net(fields, rank=rank, world=2).forward()["l"] for rank in range(2)]
    assert np.concatenate(both).tolist() == passes[0]


def test_random_skip_is_drawn_by_the_seed(tmp_path: Path) -> None:
    fields, _ = images(tmp_path)
    firsts = [
        float(list_net(fields + " rand_skip: 4", seed=seed).forward()["l"][0]) for seed in range(12)
    ]
    assert set(firsts) <= {0, 10, 20, 30}
    assert len(set(firsts)) > 1
    assert firsts[0] == list_net(fields + " rand_skip: 4", seed=0).forward()["l"][0]


def test_a_missing_image_is_passed_over_or_stops_a_strict_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fields, _ = images(tmp_path)
    (tmp_path / "im 1.png").unlink()
    net = list_net(fields + " batch_size: 2 new_height: 2 new_width: 2")
    assert net.forward()["l"].tolist() == [0, 20]
    assert (
        "record 'im 1.png' cannot be read: No such file or directory; the next one takes its place"
        in caplog.text
    )
    strict = list_net(fields + " batch_size: 2 new_height: 2 new_width: 2", strict=True)
    with pytest.raises(CaffeError, match=r"record 'im 1\.png' cannot be read"):
        strict.forward()


def video(path: str, batch: int = 1, skip: int = 0) -> str:
    fields = (
        f'video_data_param {{ video_type: VIDEO video_file: "{path}" skip_frames: {skip} '
        f"}} data_param {{ batch_size: {batch} }}"
    )
    return layer("VideoData", "", "x l", fields)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            layer("ImageData", "", "x l", 'image_data_param { source: "nowhere" }'),
            "nowhere: No such file",
        ),
        (layer("ImageData", "", "x l"), "layer 'x l', image_data_param.source: must name the list"),
        (
            layer("Data", "", "x l", 'data_param { source: "nowhere" batch_size: 1 }'),
            "data_param.backend: netrun reads LMDB",
        ),
        (
            layer(
                "Data", "", "x l", 'data_param { source: "nowhere" batch_size: 1 backend: LMDB }'
            ),
            "nowhere: no LMDB here",
        ),
        (
            layer("VideoData", "", "x", "data_param { batch_size: 1 }"),
            "video_data_param.video_type: netrun reads VIDEO, not the WEBCAM",
        ),
        (
            layer("VideoData", "", "x", "data_param { batch_size: 1 }"),
            "ffmpeg -f v4l2 -i /dev/video0 -t 10 frames/%05d.jpg`, then `netrun detect --model",
        ),
        (
            video("no.avi").replace("video_type: VIDEO", ""),
            "for video_file write video_type: VIDEO",
        ),
        (video("no.avi"), "no.avi: no such video"),
    ],
)
def test_what_is_refused(words: str, message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        build(words)


def test_a_list_without_a_label_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png 0\nb.png\n")
    with pytest.raises(
        CaffeError, match=r"list.txt:2: each line should be an image's path, a space and its label"
    ):
        list_net(f'source: "{tmp_path}/list.txt"')


MEMORY = layer(
    "MemoryData", "", "x l", "memory_data_param { batch_size: 2 channels: 3 height: 1 width: 2 }"
)


def test_memory_data_cycles_through_the_arrays() -> None:
    net = build(MEMORY + layer("Power", "x", "y", "power_param { scale: 2 }"))
    with pytest.raises(CaffeError, match=r"layer 'x l'.*net.set_input_arrays"):
        net.forward()
    data, labels = (
        np.arange(24, dtype=np.float32).reshape(4, 3, 1, 2),
        np.arange(4, dtype=np.float32),
    )
    net.set_input_arrays(data, labels)
    out = [deepcopy(net.forward()) for _ in range(3)]
    assert [o["l"].ravel().tolist() for o in out] == [[0, 1], [2, 3], [0, 1]]
    assert out[0]["l"].shape == (2, 1, 1, 1)
    np.testing.assert_array_equal(out[1]["y"], data[2:] * 2)
    data[:] = 7  # the caller's own memory is read
    assert (net.forward()["y"] == 14).all()
    net.seek(1)
    assert net.forward()["l"].ravel().tolist() == [2, 3]


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (
            np.zeros((2, 3, 1, 2)),
            np.zeros(2, np.float32),
            "data array must be a float32 array in C order",
        ),
        (
            np.zeros((2, 3, 2, 1), np.float32),
            np.zeros(2, np.float32),
            r"data array must be M x 3 x 1 x 2, found \(2, 3, 2, 1\)",
        ),
        (
            np.zeros((2, 3, 1, 2), np.float32),
            np.zeros((2, 4), np.float32),
            r"labels array must be M x 1 x 1 x 1, found \(2, 4\)",
        ),
        (
            np.zeros((3, 3, 1, 2), np.float32),
            np.zeros(3, np.float32),
            "a multiple of the batch size 2, found 3 and 3",
        ),
        (
            np.zeros((2, 3, 1, 2), np.float32),
            np.zeros(4, np.float32),
            "the same first dimension, .* found 2 and 4",
        ),
    ],
)
def test_arrays_that_do_not_fit(data: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        build(MEMORY).set_input_arrays(data, labels)


def test_arrays_need_memory_data_first() -> None:
    net = build(layer("DummyData", "", "x", "dummy_data_param { shape { dim: 1 } }"))
    with pytest.raises(
        CaffeError, match="set_input_arrays needs a MemoryData as the first layer; 'x' is DummyData"
    ):
        net.set_input_arrays(np.zeros((1, 1, 1, 1), np.float32), np.zeros(1, np.float32))


def test_frames_of_a_video_come_in_order_and_end(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (32, 24))
    for i in range(7):
        writer.write(np.full((24, 32, 3), 30 * i, np.uint8))
    writer.release()

    def brightness(net: netrun.Net) -> list[int]:
        return [round(float(image.mean()) / 30) for image in net.forward()["x"]]

    net = build(video(f"{tmp_path}/v.avi", 3), netrun.TEST)
    assert net.blobs["x"].shape == (3, 3, 24, 32)
    assert [brightness(net) for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    assert net.blobs["l"].data.tolist() == [0, 0, 0]
    with pytest.raises(CaffeError, match=r"v.avi.*: the video ends after 7 frames"):
        net.forward()
    net.seek(1)
    assert brightness(net) == [3, 4, 5]
    skipping = build(video(f"{tmp_path}/v.avi", skip=2), netrun.TEST)
    assert [brightness(skipping) for _ in range(2)] == [[2], [5]]
    (tmp_path / "bad.avi").write_bytes(b"no video")
    with pytest.raises(CaffeError, match=r"bad.avi: cannot be read as a video"):
        build(video(f"{tmp_path}/bad.avi"))
