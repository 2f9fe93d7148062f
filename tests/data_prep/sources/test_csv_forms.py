"""The forms that tables come in: headers, orders of columns, lists; and errors for all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import csv_columns, open_source
from data_prep.sources.csv import Csv
from tests.data_prep.conversions import CAT, read, said
from tests.data_prep.support import refused

TABLES = {
    "tensorflow": "filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,64,48,cat,4,5,20,25\n",
    "keras-retinanet": "0.jpg,4,5,20,25,cat\n1.jpg,,,,,\n",
    "keras-retinanet, empty first": "1.jpg,,,,,\n0.jpg,4,5,20,25,cat\n",
    "class second": "0.jpg,cat,4,5,20,25\n",
    "no header, tensorflow": "0.jpg,64,48,cat,4,5,20,25\n",
    "semicolons": "image;label;x1;y1;x2;y2\n0.jpg;cat;4;5;20;25\n",
    "tabs, quotes, spaces": (
        '"File Name"\tX Min\tY Min\tX Max\tY Max\tClass\n"0.jpg"\t 4\t5 \t20\t25\tcat\n'
    ),
    "corner and sides": "image_path,x,y,w,h,category\n./0.jpg,4,5,16,20,cat\n",
    "corner, width, height": "image,x,y,width,height,label\n0.jpg,4,5,16,20,cat\n",
    "bbox_x": (
        "image_name,bbox_x,bbox_y,bbox_width,bbox_height,image_width,image_height,label_name\n"
        "0.jpg,4,5,16,20,64,48,cat\n"
    ),
    "open images": (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n"
        "0,xclick,cat,1,0.0625,0.3125,0.10416666666666667,0.5208333333333334,0\n"
    ),
    "byte order mark, windows": (
        "\ufefffilename,class,xmin,ymin,xmax,ymax\r\n0.jpg,cat,4,5,20,25\r\n"
    ),
    "centre and sides": "filename,class,x_center,y_center,width,height\n0.jpg,cat,12,15,16,20\n",
    "centre and sides in fractions": (
        "img,cx,cy,w,h,label\n0.jpg,0.1875,0.3125,0.25,0.41666667,cat\n"
    ),
    "bbox": 'image_id,width,height,bbox,class\n0,64,48,"[4.0, 5.0, 16.0, 20.0]",cat\n',
    "bbox with blanks": "image,bbox,class\n0.jpg,(4 5 16 20),cat\n1.jpg,[],cat\n",
    "frame and class_id": "frame,xmin,xmax,ymin,ymax,class_id,class\n0.jpg,4,20,5,25,3,cat\n",
    "name before number": "image_id,filename,xmin,ymin,xmax,ymax,class\n17,0.jpg,4,5,20,25,cat\n",
    "the image's sides before the box's": (
        "image,image_width,image_height,x,y,width,height,class\n0.jpg,64,48,4,5,16,20,cat\n"
    ),
    "fractions that rounding takes beyond 1": (
        "image,xmin,ymin,xmax,ymax,class\n"
        "0.jpg,0.0625,0.10416667,0.3125,0.52083333,cat\n1.jpg,0,0,1.0000001,1,cat\n"
    ),
    "floats that are whole": "filename,class,xmin,ymin,xmax,ymax\n0.jpg,cat,4.0,5.0,20.0,25.0\n",
}


@pytest.mark.parametrize("form", TABLES)
def test_table(form: str, root: Path) -> None:
    (root / "boxes.csv").write_text(TABLES[form], newline="")
    found = read(Csv(root))
    assert found.pop("0.jpg") == [pytest.approx(CAT)]
    assert found in ({}, {"1.jpg": []}, {"1.jpg": [("cat", False, 0, 0, 64, 48)]})


def test_rows_of_an_image_need_not_follow_each_other(root: Path) -> None:
    (root / "boxes.csv").write_text("0.jpg,4,5,20,25,cat\n1.jpg,1,2,3,4,dog\n0.jpg,5,6,7,8,dog\n")
    assert read(Csv(root / "boxes.csv")) == {
        "0.jpg": [CAT, ("dog", False, 5, 6, 7, 8)],
        "1.jpg": [("dog", False, 1, 2, 3, 4)],
    }


def test_groups_of_open_images_are_difficult_and_fractions_need_the_image(root: Path) -> None:
    (root / "train.csv").write_text(
        "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n0,/m/1,0,0.5,0,1,1\n9,/m/1,0,0.5,0,1,1\n"
    )
    # There is no 9.jpg; the error comes with its image.
    assert read(Csv(root)) == {"0.jpg": [("/m/1", True, 0, 0, 32, 48)], "9.jpg": []}


BAD_TABLES = {
    "": "FILE: is empty",
    "a,b\n": (
        "FILE:1: a header such as filename,xmin,ymin,xmax,ymax,class is missing, and these 2 "
        "columns are not known without"
    ),
    "patientId,x,y,width,height,Target\na,1,2,3,4,1\n": (
        "FILE:1: no column 'image'; not known: patientId, Target"
    ),
    "Filename;Tag;Upper left X\n0.jpg;stop;1\n": (
        "FILE:1: no column 'xmin'; not known: Tag, Upper left X"
    ),
    "filename,xmin,ymin,xmax,ymax\n": (
        "FILE:1: no column 'class' (--class NAME gives all boxes one class)"
    ),
    "filename,score,xmin,ymin,xmax,ymax,id,name\n0.jpg,1,4,5,20,25,1,\n": (
        "FILE:2: a class without a name"
    ),
    "filename,score,xmin,ymin,xmax,ymax,what\n": (
        "FILE:1: no column 'class'; not known: score, what (--class NAME gives all boxes one class)"
    ),
    "filename,x_center,y_center,class,w\n": "FILE:1: no column 'height'",
    "filename,x,y,class,width\n": "FILE:1: no column 'height'",
    "filename,width,height,class,xmin,ymin,xmxa,ymax\n0.jpg,64,48,cat,4,5,20,25\n": (
        "FILE:1: no column 'xmax' (there is 'xmxa'?)"
    ),
    'filename,bbox,class\n0.jpg,"[4, 5, 16]",cat\n': (
        "FILE:2: bbox is '[4, 5, 16]', not [x, y, width, height]"
    ),
    "filename,xmni,ymin,xmax,ymax,class\n": "FILE:1: no column 'xmin' (there is 'xmni'?)",
    "filename,xmin,ymin,xmax,ymax,class\n": "FILE: a table without a row",
    "filename,xmin,ymin,xmax,ymax,class\n,1,2,3,4,cat\n": "FILE:2: an image without a name",
    "filename,xmin,ymin,xmax,ymax,class\n0.jpg,1,two,3,4,cat\n": (
        "FILE:2: ymin is 'two', not a number"
    ),
    "filename,xmin,ymin,xmax,ymax,class\n0.jpg,1,2,3,4,cat\n0.jpg,1,2,3\n": (
        "FILE:3: ymax is '', not a number"
    ),
    "filename,xmin,ymin,xmax,ymax,class\n0.jpg,1,2,3,4,\n": "FILE:2: a class without a name",
    "filename;xmin;ymin;xmax;ymax;class\n0.jpg;1,5;2;3;4;cat\n": (
        "FILE:2: xmin is '1,5', not a number"
    ),
}


@pytest.mark.parametrize("content", BAD_TABLES)
def test_bad_table(content: str, root: Path) -> None:
    file = root / "boxes.csv"
    file.write_text(content)
    assert said(lambda: read(Csv(root))) == BAD_TABLES[content].replace("FILE", str(file))


@pytest.mark.parametrize("name", ["9.jpg", "0.jpg/1.jpg", "images"])
def test_images_that_are_none(
    name: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "boxes.csv").write_text(f"0.jpg,4,5,20,25,cat\n{name},4,5,20,25,cat\n")
    for other in ("1.jpg", "2.jpg"):
        (root / other).unlink()  # else a note says that they have no annotation
    assert (
        refused(capsys, "csv", root, "--out", tmp_path / "out/lmdb")
        == f"{root / name}: no such image"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_of_tables(encoding: str, root: Path) -> None:
    begin = "\ufeff" if encoding.endswith("e") else ""  # Python writes it for the others
    (root / "boxes.csv").write_text(
        f"{begin}filename,xmin,ymin,xmax,ymax,class\n0.jpg,4,5,20,25,Käse\n", encoding=encoding
    )
    assert read(Csv(root)) == {"0.jpg": [("Käse", *CAT[1:])]}


def test_other_encodings_are_refused_with_a_remedy(root: Path) -> None:
    file = root / "boxes.csv"
    file.write_text("0.jpg,4,5,20,25,Käse\n", encoding="cp1252")
    remedy = "it is neither UTF-8 nor UTF-16 text (save it as UTF-8, or: iconv -f CP1252 -t UTF-8)"
    assert said(lambda: read(Csv(root))) == f"{file}: not a table: {remedy}"


@pytest.mark.parametrize("name", ["/nowhere/at all/1.jpg", r"C:\Users\me\1.jpg", "D:/1.jpg"])
def test_paths_of_another_machine(name: str, root: Path) -> None:
    file = root / "boxes.csv"
    file.write_text(f"{root}/0.jpg,4,5,20,25,cat\n")
    assert read(Csv(root)) == {f"{root}/0.jpg": [CAT]}
    file.write_text(f"0.jpg,4,5,20,25,cat\n{name},4,5,20,25,cat\n")
    shown = name.replace("\\", "/")
    which = "1.jpg or image_2/1.jpg (--images FOLDER says where it is)"
    place = f"{file}:2: '{shown}'"
    assert said(lambda: read(Csv(root))) == f"{place} may be {which}"
    found = read(Csv(root, root / "images"))
    assert found == {"images/0.jpg": [CAT], "images/1.jpg": [CAT]}
    for other in root.rglob("1.jpg"):
        other.unlink()
    looked = f"no image of that name is in {root} (--images FOLDER says where it is)"
    assert said(lambda: read(Csv(root))) == f"{place} is not on this machine, and {looked}"


def test_several_tables_are_lists(root: Path) -> None:
    for name in ("train", "test"):
        (root / f"{name}.csv").write_text("0.jpg,4,5,20,25,cat\n")
    assert Csv(root).sets() == ["test", "train"]
    assert read(Csv(root), "train") == {"0.jpg": [CAT]}
    assert (
        said(lambda: read(Csv(root)))
        == f"{root}: several annotation files; choose with --list: test, train"
    )
    assert said(lambda: read(Csv(root), "tset")) == "tset: no such list (did you mean 'test'?)"


def test_one_class_without_a_column(root: Path) -> None:
    file = root / "boxes.csv"
    for content in ("image,xmin,ymin,xmax,ymax\n0.jpg,4,5,20,25\n1.jpg,,,,\n", "0.jpg,4,5,20,25\n"):
        file.write_text(content)
        found = read(open_source("csv", root, class_name="cat"))
        assert found.pop("0.jpg") == [CAT]
        assert found in ({}, {"1.jpg": []})
    file.write_text('image_id,width,height,bbox,source\n0,64,48,"[4, 5, 16, 20]",x\n')
    assert read(open_source("csv", root, class_name="cat")) == {"0.jpg": [CAT]}
    file.write_text("image,xmin,ymin,xmax,ymax,class\n0.jpg,4,5,20,25,dog\n")
    fault = "it has a column of classes; --class is for tables without (--map renames classes)"
    assert said(lambda: read(open_source("csv", root, class_name="cat"))) == f"{file}:1: {fault}"


def test_the_flag_of_one_class(root: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "boxes.csv").write_text("image,xmin,ymin,xmax,ymax\n0.jpg,4,5,20,25\n")
    main(["csv", str(root), "--class", "cat", "--out", str(out)])
    assert "1 boxes (0 difficult): cat 1" in capsys.readouterr().out
    told = refused(capsys, "csv", root, "--class", " ", "--out", out, status=2)
    assert told.startswith("--class: a class without a name")


def test_numbers_for_classes_are_said(root: Path) -> None:
    file = root / "boxes.csv"
    file.write_text("frame,xmin,ymin,xmax,ymax,class_id\n0.jpg,4,5,20,25,3\n1.jpg,4,5,20,25,1\n")
    source = Csv(root)
    found = read(source)
    assert found["0.jpg"] == [("3", *CAT[1:])]
    assert source.findings == [("numbered", str(file), "classes are numbers: 1, 3")]


def test_one_image_under_two_names(root: Path) -> None:
    (root / "boxes.csv").write_text("0.jpg,4,5,20,25,cat\n./0.jpg,4,5,20,25,dog\n0,1,2,3,4,dog\n")
    source = Csv(root)
    assert read(source) == {"0.jpg": [CAT, ("dog", *CAT[1:]), ("dog", False, 1, 2, 3, 4)]}
    (item,) = source.items()
    (remark,) = source.read(item).remarks
    assert (remark.kind, remark.line) == ("merged", 3)
    assert remark.message == "'0' is there a second time"


def test_tables_of_one_name_go_by_their_paths(root: Path) -> None:
    (root / "annotations").mkdir()
    (root / "annotations/train.csv").write_text("0.jpg,4,5,20,25,cat\n")
    (root / "train.csv").write_text("1.jpg,4,5,20,25,cat\n")
    source = Csv(root)
    assert source.sets() == ["annotations/train.csv", "train.csv"]
    assert read(source, "annotations/train.csv") == {"0.jpg": [CAT]}


def test_lists_relative_to_the_folder(root: Path) -> None:
    """Where no usual place has a table."""
    (root / "splits/a").mkdir(parents=True)
    (root / "splits/a/train.csv").write_text("0.jpg,4,5,20,25,cat\n")
    assert read(Csv(root), "splits/a/train.csv") == {"0.jpg": [CAT]}


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("image_id\n2\n0\n", (2, 3)),
        ('"2.jpg"\n"0.jpg"\n', (1, 2)),
        ("\ufeffFile Name\r\n2.jpg\r\n\r\n0.jpg\r\n", (2, 4)),
    ],
)
def test_a_list_may_be_a_table_of_one_column(
    content: str, lines: tuple[int, int], root: Path
) -> None:
    (root / "boxes.csv").write_text("".join(f"{n}.jpg,4,5,20,25,cat\n" for n in range(3)))
    file = root / "train.csv"
    file.write_text(content, newline="")
    source = Csv(root)
    assert source.sets() == []
    assert len(source.items()) == 3
    for name in ("train", "train.csv", str(file)):
        items = source.read_list(name)
        assert [item.image for item in items] == ["2.jpg", "0.jpg"]
        assert [item.place for item in items] == [f"{file}:{line}" for line in lines]
    file.write_text("9.jpg\n")
    assert said(lambda: source.read_list("train")).startswith(f"{file}:1: no image '9.jpg' in the")
    file.write_text("id\n")
    assert said(lambda: source.read_list("train")) == f"{file}: the list is empty"


def test_a_list_of_images_that_several_tables_have(root: Path) -> None:
    """The boxes of the second table would be missing without a word."""
    (root / "cats.csv").write_text("0.jpg,4,5,20,25,cat\n1.jpg,4,5,20,25,cat\n")
    (root / "dogs.csv").write_text("0.jpg,4,5,20,25,dog\n2.jpg,4,5,20,25,dog\n")
    file = root / "some.txt"
    file.write_text("1.jpg\n0.jpg\n2\n")
    source = Csv(root)
    assert read(source, "some.txt")["0.jpg"] == [CAT]
    message = "0.jpg is in cats.csv, which counts, and in dogs.csv"
    assert source.findings == [("in-several", f"{file}:2", message)]
    file.write_text("1.jpg\n2.jpg\n")
    assert len(read(Csv(root), "some.txt")) == 2
    assert Csv(root).findings == []


def test_a_stem_that_two_images_have(root: Path) -> None:
    (root / "0.png").touch()
    file = root / "boxes.csv"
    file.write_text("image_id,xmin,ymin,xmax,ymax,class\n0,4,5,20,25,cat\n1,4,5,20,25,cat\n")
    source = Csv(root)
    first, second = source.items()
    assert said(lambda: source.read(first)) == f"{file}:2: '0' may be 0.jpg or 0.png"
    assert len(source.read(second).objects) == 1


def test_every_column_has_one_meaning() -> None:
    known = [name for names in csv_columns.COLUMNS.values() for name in names]
    assert len(known) == len(set(known))
