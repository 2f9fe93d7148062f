"""VOC's XML as people have it: other encodings, blank lines, bare ampersands, two boxes."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from data_prep.sources.voc_xml import read_annotation
from ssd_common.errors import ParseError

TEXT = """<annotation>
<filename>a.jpg</filename>
<size><width>64</width><height>48</height></size>
<object>
<name>{name}</name>
<bndbox><xmin>4</xmin><ymin>5</ymin><xmax>20</xmax><ymax>25</ymax></bndbox>
</object>
</annotation>
"""


def names(path: Path, data: bytes) -> tuple[list[str], list[str]]:
    """The names of an annotation's objects, and the messages of its remarks."""
    path.write_bytes(data)
    annotation = read_annotation(path)
    assert [o[2:6] for o in annotation.objects] == [(4, 5, 20, 25)] * len(annotation.objects)
    found = [o.name for o in annotation.objects]
    return found, [remark.message for remark in annotation.remarks]


def declared(encoding: str, name: str) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?>\n' + TEXT.format(name=name)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("gb2312", "汽车"),
        ("GBK", "鎔"),
        ("gb2312", "鎔"),  # of GBK alone, as Windows writes it under that name
        ("big5", "汽車"),
        ("shift_jis", "車"),
        ("euc-kr", "자동차"),
        ("windows-1251", "машина"),
        ("iso-8859-1", "voilà"),
        ("utf-8", "voilà"),
    ],
)
def test_declared_encodings_are_read_without_a_note(
    tmp_path: Path, encoding: str, name: str
) -> None:
    data = declared(encoding, name).encode(encoding.replace("gb2312", "gbk"))
    assert names(tmp_path / "a.xml", data) == ([name], [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_are_read(tmp_path: Path, encoding: str) -> None:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    data = mark + ("\n" + declared("utf-16", "café")).encode(encoding)
    if encoding == "utf-8-sig":
        data = codecs.BOM_UTF8 + b"\n" + declared("utf-8", "café").encode()
    assert names(tmp_path / "a.xml", data) == (["café"], [])


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("gb2312", "汽车"),
        ("cp1252", "Mädchen"),
        ("cp1252", "caf\u00e9"),
        ("cp1252", "l\u2019\u0153uf"),
    ],
)
def test_undeclared_encodings_are_guessed_with_a_note(
    tmp_path: Path, encoding: str, name: str
) -> None:
    data = TEXT.format(name=name).encode(encoding)
    wanted = ([name], [f"not UTF-8: read as {encoding}"])
    assert names(tmp_path / "a.xml", data) == wanted


def test_a_wrong_declaration_is_said(tmp_path: Path) -> None:
    data = declared("gb2312", "汽车").encode()  # saved as UTF-8 later
    found = names(tmp_path / "a.xml", data)
    assert found == (["汽车"], ["read as UTF-8, which it does not declare"])
    data = declared("utf-8", "Mädchen").encode("cp1252")
    found = names(tmp_path / "a.xml", data)
    assert found == (["Mädchen"], ["not UTF-8: read as cp1252"])
    data = declared("utf-16", "Mädchen").encode()  # as .NET writes it
    assert names(tmp_path / "a.xml", data) == (["Mädchen"], [])
    data = declared("no-such", "Mädchen").encode()
    assert names(tmp_path / "a.xml", data) == (["Mädchen"], [])


@pytest.mark.parametrize("before", ["\n", "\n\n  ", "\r\n", "\ufeff\n"])
def test_blank_lines_before_the_declaration(tmp_path: Path, before: str) -> None:
    data = (before + declared("utf-8", "cat")).encode()
    assert names(tmp_path / "a.xml", data) == (["cat"], [])
    broken = data.replace(b"<xmin>4<", b"<xmin>four<")
    (tmp_path / "a.xml").write_bytes(broken)
    line = broken[: broken.index(b"four")].count(b"\n") + 1
    with pytest.raises(ParseError, match=rf"a\.xml:{line}: xmin is 'four'"):
        read_annotation(tmp_path / "a.xml")


def test_an_ampersand_that_stands_for_itself(tmp_path: Path) -> None:
    data = TEXT.format(name="R&D &amp; &#38; co &lt;x&gt; &nbsp;").encode()
    assert names(tmp_path / "a.xml", data) == (["R&D & & co <x> &nbsp;"], [])


def test_broken_xml_is_still_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b'\n<?xml version="1.0"?>\n<annotation>\n<a></b>')
    with pytest.raises(ParseError, match=r"a\.xml:4: not well-formed XML: mismatched tag"):
        read_annotation(tmp_path / "a.xml")


def test_the_last_of_two_boxes_is_taken_with_a_warning(tmp_path: Path) -> None:
    first = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>"
    data = TEXT.format(name="cat").replace("<bndbox>", f"{first}\n<bndbox>", 1)
    (tmp_path / "a.xml").write_text(data)
    annotation = read_annotation(tmp_path / "a.xml")
    assert [o[2:6] for o in annotation.objects] == [(4, 5, 20, 25)]
    [remark] = annotation.remarks
    assert remark[:3] == ("several", 7, "object 'cat' has 2 boxes: the last is taken")


def test_a_second_name_is_left_out_with_a_warning(tmp_path: Path) -> None:
    data = TEXT.format(name="cat</name><name>dog")
    (tmp_path / "a.xml").write_text(data)
    annotation = read_annotation(tmp_path / "a.xml")
    assert [o.name for o in annotation.objects] == ["cat"]
    [remark] = annotation.remarks
    assert remark.message == "object 'cat' is also called 'dog', which is left out"
