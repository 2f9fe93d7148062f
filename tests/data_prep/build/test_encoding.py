"""The flags of the fork's convert_annoset: the fork's records, flag by flag."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.build.dataset import shuffled
from data_prep.cli import main
from data_prep.sources.source import Item
from data_prep.statistics import contact_sheet
from ssd_common.command import run_command
from ssd_common.errors import CaffeError
from tests.data_prep.support import BCCD, GOLDEN, build, records, refused
from tests.support import needs_shared

# sha256 over the keys and records that the fork's own convert_annoset (built with OpenCV 4.6)
# makes of the golden list with these flags.
FORKS = [
    ("--encoded=false", "b20635130a150cf6"),
    ("--gray --encoded=false", "82f67bdc7da2097c"),
    ("--min_dim=500 --encoded=false", "783dad3e29df3cd8"),
    ("--max_dim=333 --encoded=false", "a9b8b36d192e4e89"),
    ("--min_dim=500 --max_dim=600 --encoded=false", "2e0cb47518f25649"),
    ("--resize_width=300 --resize_height=200 --encoded=false --check_size", "a993a68cd7437e07"),
    ("--encode_type=jpg --resize_width=300 --resize_height=300", "5d3ce76c960b5a01"),
    ("--encode_type=jpg --gray", "9751d1802eda8435"),
    ("--encoded", "c70b232ce77657e9"),
    ("--anno_type=classification --encode_type=jpg", "4b59d036d6e8723e"),
    (
        "--anno_type=classification --encoded=false --gray --resize_width=32 --resize_height=32",
        "7aa25d6aff99fb09",
    ),
]


@needs_shared
@pytest.mark.parametrize(("flags", "expected"), FORKS, ids=[flags for flags, _ in FORKS])
def test_records_are_the_forks(tmp_path: Path, flags: str, expected: str) -> None:
    listed = GOLDEN / "list.txt"
    more = ["--labelmap", GOLDEN / "labelmap.prototxt"]
    if "classification" in flags:
        lines = listed.read_text().splitlines()
        (tmp_path / "list.txt").write_text(
            "".join(f"{line.split()[0]} {i}\n" for i, line in enumerate(lines))
        )
        listed = tmp_path / "list.txt"
        more = []
    found = build(BCCD, tmp_path / "out/lmdb", "--list", listed, *more, *flags.split())
    assert hashlib.sha256(b"".join(k + v for k, v in found.items())).hexdigest()[:16] == expected


def test_raw_pixels_are_channel_by_channel(folder: Path, out: Path) -> None:
    pixels = cv2.imdecode(np.fromfile(folder / "JPEGImages/0.jpg", np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    datum = pb.AnnotatedDatum.FromString(
        build(folder, out, "--encoded=false")[b"00000000_JPEGImages/0.jpg"]
    ).datum
    assert (datum.channels, datum.height, datum.width, datum.encoded) == (3, 48, 64, False)
    assert np.array_equal(
        np.frombuffer(datum.data, np.uint8).reshape(3, 48, 64), pixels.transpose(2, 0, 1)
    )


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--encoded=false"],
        ["--encoded=false", "--gray"],
        ["--resize-width", 900, "--resize-height", 1],
    ],
)
def test_show_draws_records_of_any_kind(folder: Path, out: Path, flags: list[object]) -> None:
    record = pb.AnnotatedDatum.FromString(next(iter(build(folder, out, *flags).values())))
    picture = contact_sheet.tile(record, "0.jpg", out, {1: "cat"})
    assert picture.shape == (contact_sheet.TILE, contact_sheet.TILE, 3)
    record.ClearField("annotation_group")
    assert not np.array_equal(picture, contact_sheet.tile(record, "0.jpg", out, {}))


def test_show_draws_records_with_impossible_boxes(folder: Path, out: Path) -> None:
    record = pb.AnnotatedDatum.FromString(next(iter(build(folder, out).values())))
    for xmax in (float("nan"), float("inf"), -1e30):
        record.annotation_group[0].annotation[0].bbox.xmax = xmax
        assert contact_sheet.tile(record, "0.jpg", out, {}).shape == (
            contact_sheet.TILE,
            contact_sheet.TILE,
            3,
        )
    record.datum.encoded = False
    with pytest.raises(CaffeError, match="0\\.jpg has no image that OpenCV can read"):
        contact_sheet.tile(record, "0.jpg", out, {})


def test_boxes_and_name_size_files_keep_the_images_own_size(folder: Path, out: Path) -> None:
    record = pb.AnnotatedDatum.FromString(
        build(folder, out, "--resize-width", 10, "--resize-height", 20)[
            b"00000000_JPEGImages/0.jpg"
        ]
    )
    assert (record.datum.height, record.datum.width) == (20, 10)
    assert record.annotation_group[0].annotation[0].bbox.xmax == 20 / 64
    assert out.with_name("train_name_size.txt").read_text().startswith("0 48 64\n")


def test_shuffle_is_the_same_for_the_same_seed(folder: Path, out: Path) -> None:
    first = list(build(folder, out, "--shuffle"))
    assert first == list(build(folder, out, "--shuffle", "--overwrite"))
    assert sorted(k[9:] for k in first) == [
        b"JPEGImages/0.jpg",
        b"JPEGImages/1.jpg",
        b"JPEGImages/2.jpg",
    ]
    assert [k[:8] for k in first] == [b"00000000", b"00000001", b"00000002"]
    listed = [
        line.split()[0].encode() for line in out.with_name("train.txt").read_text().splitlines()
    ]
    assert listed == [k[9:] for k in first], "line n of the list is record n"
    items = [Item(str(i), "") for i in range(50)]
    assert shuffled(items, 1) != shuffled(items, 2)
    assert sorted(shuffled(items, 1)) == sorted(items)


def test_shuffle_leaves_the_test_images(folder: Path, tmp_path: Path) -> None:
    (folder / "all.txt").write_text("0\n1\n2\n")
    argv = [
        "voc",
        str(folder),
        "--train-list",
        "all.txt",
        "--test-list",
        "all.txt",
        "--shuffle",
        "--seed",
        "3",
        "--out",
        str(tmp_path / "o"),
    ]
    main(argv)
    train, test = (list(records(tmp_path / f"o/{part}_lmdb")) for part in ("train", "test"))
    assert train != test == sorted(test)
    assert [k[9:] for k in test] == [b"JPEGImages/0.jpg", b"JPEGImages/1.jpg", b"JPEGImages/2.jpg"]


def test_sizes_that_differ_are_refused_when_asked(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(folder / "JPEGImages/1.jpg"), np.zeros((30, 40, 3), np.uint8))
    (folder / "Annotations/1.xml").write_text("<annotation/>")
    assert (
        run_command("data_prep", main, ["voc", str(folder), "--out", str(out), "--check-size"]) == 1
    )
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "data_prep: error: JPEGImages/1.jpg is 3x30x40 where the first record is 3x48x64"
    assert not out.exists()
    build(folder, out, "--check_size", "--resize_width=20", "--resize_height=20")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            "--backend leveldb",
            (
                "--backend leveldb: only lmdb is written; netrun reads nothing else, and Caffe "
                "reads it, too; see data_prep voc --help"
            ),
        ),
        (
            "--encode-type jpe",
            "--encode-type jpe: not one of bmp, jpeg, jpg, pgm, png, ppm, tif, tiff, webp"
            " (did you mean 'jpeg'?); see data_prep voc --help",
        ),
        (
            "--resize-width 300",
            "--resize-width and --resize-height go together (the fork's tool ignores one alone);"
            " see data_prep voc --help",
        ),
        (
            "--resize-width 3 --resize-height 3 --min-dim 4",
            (
                "--min-dim and --max-dim exclude --resize-width and --resize-height (the fork's "
                "tool ignores the latter); see data_prep voc --help"
            ),
        ),
        (
            "--min-dim -4",
            (
                "argument --min-dim: '-4' is not a number of pixels up to 65500 (0 for none); see "
                "data_prep voc --help"
            ),
        ),
        (
            "--gray=maybe",
            "argument --gray: 'maybe' is neither true nor false; see data_prep voc --help",
        ),
        (
            "--anno-type classification",
            (
                "--anno-type classification needs --list, or --train-list and --test-list, with "
                "lines `image label`; see data_prep voc --help"
            ),
        ),
        ("--shards 4", "OUT: 4 shards are more than its 3 images"),
    ],
)
def test_flags_that_contradict(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str], flags: str, said: str
) -> None:
    status = 1 if flags == "--shards 4" else 2
    assert refused(
        capsys, "voc", folder, "--out", out, *flags.split(), status=status
    ) == said.replace("OUT", str(out))
    assert not out.parent.exists()


def test_labels_that_are_no_numbers(
    folder: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text("JPEGImages/0.jpg 3\nJPEGImages/1.jpg cat\n")
    said = refused(
        capsys,
        "voc",
        folder,
        "--out",
        out,
        "--list",
        tmp_path / "list.txt",
        "--anno-type",
        "classification",
    )
    assert said == f"JPEGImages/1.jpg: 'cat' is not a label, a whole number ({tmp_path}/list.txt:2)"


def test_grey_images_make_the_nets_force_colour(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "train.txt").write_text("0\n1\n")
    (folder / "test.txt").write_text("2\n")
    argv = [
        "voc",
        str(folder),
        "--train-list",
        "train.txt",
        "--test-list",
        "test.txt",
        "--out",
        str(tmp_path / "out"),
        "--overwrite",
    ]
    main(argv)
    assert "force_color" not in json.loads((tmp_path / "out/dataset.json").read_text())
    cv2.imwrite(str(folder / "JPEGImages/1.jpg"), np.zeros((48, 64), np.uint8))
    main(argv)
    assert json.loads((tmp_path / "out/dataset.json").read_text())["force_color"] is True
    assert f"note: {folder}/JPEGImages/1.jpg: is grey" in capsys.readouterr().err


def test_a_data_set_of_labelled_images(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "train.txt").write_text("JPEGImages/0.jpg 3\nJPEGImages/1.jpg 0\n")
    (folder / "test.txt").write_text("JPEGImages/2.jpg -1\n")
    lists = ["--train-list", "train.txt", "--test-list", "test.txt"]
    main(
        [
            "voc",
            str(folder),
            *lists,
            "--anno-type",
            "classification",
            "--out",
            str(tmp_path / "out"),
        ]
    )
    labels = [
        pb.AnnotatedDatum.FromString(v).datum.label
        for p in ("train", "test")
        for v in records(tmp_path / f"out/{p}_lmdb").values()
    ]
    assert labels == [3, 0, -1]
    assert not {"dataset.json", "labelmap.prototxt"} & {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert "netgen" not in capsys.readouterr().out
