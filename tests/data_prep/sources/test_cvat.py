"""CVAT's XML: every shape, difficult ones, tracks of videos, where images lie, and bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.cli import main
from data_prep.sources import open_source
from tests.data_prep.conversions import read, said
from tests.data_prep.support import records, refused

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <meta><task><labels>
    <label><name>van</name><attributes><attribute><name>colour</name></attribute></attributes></label>
    <label><name>car</name><type>bbox</type></label>
    <label><name>daylight</name><type>tag</type></label>
    <label><name>1</name><type>points</type><parent>van</parent></label>
  </labels><original_size><width>64</width><height>48</height></original_size></task></meta>
"""
BOX = '<box label="car" xtl="1.50" ytl="2.00" xbr="20.00" ybr="30.25" occluded="0"/>'


@pytest.fixture
def file(root: Path) -> Path:
    return root / "annotations.xml"


def write(file: Path, *shapes: str, head: str = HEAD, image: str = "0.jpg") -> Path:
    lines = [f'<image id="0" name="{image}" width="64" height="48">', *shapes, "</image>"]
    file.write_text("\n".join([head.rstrip("\n"), *lines, "</annotations>"]))
    return file.parent


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        (BOX, (1.5, 2, 20, 30.25)),
        # A quarter turn about the centre (30, 15): sides 20 and 10 become 10 and 20.
        ('<box label="car" xtl="20" ytl="10" xbr="40" ybr="20" rotation="90"/>', (25, 5, 35, 25)),
        ('<polygon label="car" points="5.00,6.50;20,8;7,30"/>', (5, 6.5, 20, 30)),
        ('<polyline label="car" points="5,6;20,8"/>', (5, 6, 20, 8)),
        ('<ellipse label="car" cx="30" cy="20" rx="10" ry="5"/>', (20, 15, 40, 25)),
        ('<ellipse label="car" cx="30" cy="20" rx="10" ry="5" rotation="90"/>', (25, 10, 35, 30)),
        ('<mask label="car" rle="0, 30" left="3" top="4" width="5" height="6"/>', (3, 4, 8, 10)),
        (
            '<cuboid label="car" xtl1="1" ytl1="2" xbl1="1" ybl1="9" xtr1="8" ytr1="2" xbr1="8"'
            ' ybr1="9" xtl2="5" ytl2="1" xbl2="5" ybl2="7" xtr2="12" ytr2="1" xbr2="12" ybr2="7"/>',
            (1, 1, 12, 9),
        ),
    ],
    ids=["box", "turned", "polygon", "polyline", "ellipse", "turned-ellipse", "mask", "cuboid"],
)
def test_the_box_of_a_shape(file: Path, shape: str, box: tuple[float, ...]) -> None:
    [(image, objects)] = read(open_source("cvat", write(file, shape))).items()
    assert image == "0.jpg"
    assert objects == [("car", False, *box)]


def test_a_turn_that_is_no_quarter(file: Path) -> None:
    root = write(file, '<box label="car" xtl="20" ytl="15" xbr="40" ybr="25" rotation="30"/>')
    [[(_, _, *box)]] = read(open_source("cvat", root)).values()
    # Half sides 10 and 5 about (30, 20): 10 cos 30° + 5 sin 30° across, 10 sin + 5 cos down.
    across, down = 8.660254 + 2.5, 5 + 4.330127
    assert box == pytest.approx([30 - across, 20 - down, 30 + across, 20 + down])


@pytest.mark.parametrize(
    ("flags", "inner", "options", "difficult"),
    [
        ('occluded="1"', "", {}, False),
        ('occluded="0"', '<attribute name="truncated">true</attribute>', {}, False),
        ('occluded="0"', '<attribute name="Difficult">true</attribute>', {}, True),
        ('occluded="0"', '<attribute name="difficult">false</attribute>', {}, False),
        ('occluded="1"', "", {"difficult_if": "occluded"}, True),
        ('occluded="1"', "", {"difficult_if": ["truncated", "occluded"]}, True),
        (
            'occluded="0"',
            '<attribute name="Truncated">true</attribute>',
            {"difficult_if": "occluded, truncated"},
            True,
        ),
        ("", '<attribute name="difficult">1</attribute>', {"difficult_if": "occluded"}, True),
        (
            'occluded="1"',
            '<attribute name="occluded">no</attribute>',
            {"difficult_if": "occluded"},
            True,
        ),
        ('occluded="0"', '<attribute name="rotation">left</attribute>', {}, False),
        ("", '<attribute name="faint">1</attribute>', {"difficult_if": "faint"}, True),
    ],
)
def test_difficult(file: Path, flags: str, inner: str, options: dict, difficult: bool) -> None:
    root = write(file, BOX.replace('occluded="0"/>', f"{flags}>{inner}</box>"))
    [[(_, found, *_)]] = read(open_source("cvat", root, **options)).values()
    assert found is difficult


def test_difficult_if_may_be_repeated(file: Path, out: Path) -> None:
    cut = '<attribute name="truncated">true</attribute>'
    hidden = BOX.replace('"0"', '"1"')
    root = write(file, hidden, BOX.replace("/>", f">{cut}</box>"), BOX)
    flags = ["--difficult-if", "occluded", "--difficult-if", "truncated"]
    main(["cvat", str(root), *flags, "--out", str(out)])
    [value] = records(out).values()
    [group] = pb.AnnotatedDatum.FromString(value).annotation_group
    assert [a.bbox.difficult for a in group.annotation] == [True, True, False]


def test_report_counts_outlines_and_what_is_left_out(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(
        file,
        BOX,
        '<polygon label="van" points="5,6;20,8;7,30"/>',
        '<box label="van" xtl="20" ytl="10" xbr="40" ybr="20" rotation="10"/>',
        '<points label="van" points="5,6;7,8"/>',
        '<skeleton label="van"><points label="1" points="5,6"/></skeleton>',
        '<tag label="daylight"/>',
    )
    main(["check", "cvat", str(root)])
    report = capsys.readouterr().out
    assert "3 objects: car 1, van 2" in report
    place = f"    {file}"
    assert f"{place}:12 (0.jpg): turned box: the box around it is taken\n" in report
    assert "outlines and turned boxes: 2 (the upright box around each is taken)\n" in report
    assert "no box and no outline: 3 (" in report
    assert f"{place}:13 (0.jpg): points: left out\n" in report
    assert f"{place}:15 (0.jpg): label of the whole image: left out\n" in report
    main(["check", "cvat", str(root), "--classes", "car"])
    assert "polygon" not in capsys.readouterr().out


def test_labels_of_the_head_are_the_classes_in_their_order(file: Path, out: Path) -> None:
    root = write(file, BOX)
    main(["cvat", str(root), "--out", str(out)])
    assert len(records(out)) == 1
    labels = (out.parent / "labelmap.prototxt").read_text()
    assert labels.index('"van"') < labels.index('"car"')
    assert "daylight" not in labels
    assert '"1"' not in labels


@pytest.mark.parametrize(
    ("where", "name", "image"),
    [
        ("images", "0.jpg", "images/0.jpg"),
        ("images/deep", "deep/0.jpg", "images/deep/0.jpg"),
        ("elsewhere", "shots/0.jpg", "elsewhere/0.jpg"),
        ("images", "C:\\shots\\0.jpg", "images/0.jpg"),
        ("images", "0", "images/0.jpg"),
    ],
)
def test_where_images_lie(tmp_path: Path, jpeg: bytes, where: str, name: str, image: str) -> None:
    (tmp_path / where).mkdir(parents=True)
    (tmp_path / where / "0.jpg").write_bytes(jpeg)
    write(tmp_path / "annotations.xml", BOX, image=name)
    assert list(read(open_source("cvat", tmp_path))) == [image]


def test_images_flag(file: Path, tmp_path_factory: pytest.TempPathFactory, jpeg: bytes) -> None:
    elsewhere = tmp_path_factory.mktemp("photos")
    (elsewhere / "0.jpg").write_bytes(jpeg)
    root = write(file, BOX)
    assert list(read(open_source("cvat", root, images=elsewhere))) == [f"{elsewhere}/0.jpg"]
    fault = said(lambda: open_source("cvat", root, images=root / "none"))
    assert fault == f"{root}/none: no such folder of images"


def test_tasks_in_folders_are_lists(tmp_path: Path, jpeg: bytes) -> None:
    for task in ("day", "night"):
        (tmp_path / task / "images").mkdir(parents=True)
        (tmp_path / task / "images/0.jpg").write_bytes(jpeg)
        write(tmp_path / task / "annotations.xml", BOX)
    source = open_source("cvat", tmp_path)
    assert source.sets() == ["day", "night"]
    assert list(read(source, "night")) == ["night/images/0.jpg"]


def test_an_image_named_twice_keeps_the_objects_of_both(file: Path) -> None:
    root = write(file, BOX, "</image>", '<image id="1" name="0.jpg">', BOX.replace("20.00", "9"))
    source = open_source("cvat", root)
    [item] = source.items()
    found = source.read(item)
    assert [o.xmax for o in found.objects] == [20, 9]
    [remark] = found.remarks
    assert (remark.kind, remark.line, remark.message) == (
        "merged",
        12,
        "'0.jpg' is also at line 9",
    )


TRACKS = (
    HEAD
    + """<track id="0" label="car">
<box frame="0" outside="0" occluded="0" keyframe="1" xtl="1" ytl="2" xbr="20" ybr="20"/>
<box frame="2" outside="0" occluded="1" keyframe="0" xtl="3" ytl="2" xbr="20" ybr="20"/>
<box frame="3" outside="1" occluded="0" keyframe="1" xtl="3" ytl="2" xbr="20" ybr="20"/>
</track>
<track id="1" label="van">
<polygon frame="2" outside="0" occluded="0" keyframe="1" points="1,2;9,9;4,20"/>
</track></annotations>"""
)


def test_tracks_of_a_video(file: Path, jpeg: bytes) -> None:
    file.write_text(TRACKS)
    for number in (0, 2, 3):
        (file.parent / f"images/frame_00000{number}.PNG").write_bytes(jpeg)
    assert read(open_source("cvat", file.parent)) == {
        "images/frame_000000.PNG": [("car", False, 1, 2, 20, 20)],
        "images/frame_000002.PNG": [
            ("car", False, 3, 2, 20, 20),
            ("van", False, 1, 2, 9, 20),
        ],
    }


def test_a_video_without_its_frames(file: Path, out: Path, capsys) -> None:
    file.write_text(TRACKS)
    fault = refused(capsys, "cvat", file.parent, "--out", out)
    assert fault.startswith(f"{file}: tracks in a video whose frames are not in")
    assert "ffmpeg -i VIDEO" in fault
    file.write_text(TRACKS.replace('id="0"', 'task_id="4"').replace('id="1"', 'task_id="5"'))
    fault = said(lambda: open_source("cvat", file.parent).items())
    assert fault.startswith(f"{file}: tracks of 2 videos, whose frames have the same names")


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        ('<box label="car" xtl="1" ytl="2" xbr="20"/>', "10: 0.jpg: no ybr"),
        (BOX.replace("20.00", "wide"), '10: 0.jpg: xbr is "wide", not a number'),
        (BOX.replace('label="car"', ""), "10: 0.jpg: <box> without a label"),
        ('<polygon label="car" points="1,2;3"/>', "10: 0.jpg: '3' where a point `x,y` should be"),
        ("<box", "11: not well-formed XML: not well-formed (invalid token)"),
    ],
)
def test_bad_shapes_are_named_with_their_lines(file: Path, shape: str, fault: str) -> None:
    source = open_source("cvat", write(file, shape))
    assert said(lambda: [source.read(item) for item in source.items()]) == f"{file}:{fault}"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("<annotation/>", ":1: not CVAT's XML: <annotation> where <annotations> should be"),
        ("<annotations/>", ": no image in it"),
        ("", ":1: not well-formed XML: no element found"),
    ],
)
def test_files_that_are_not_cvats(file: Path, content: str, fault: str) -> None:
    file.write_text(content)
    assert said(lambda: open_source("cvat", file).items()) == f"{file}{fault}"
