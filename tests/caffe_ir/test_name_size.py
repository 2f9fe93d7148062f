"""name_size files: read line by line, refused with their line, written as Caffe reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caffe_ir import name_size
from ssd_common.errors import ParseError


def test_lines_read_back_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / f"test{name_size.SUFFIX}"
    lines = name_size.format_line("000001", 500, 353), name_size.format_line("my  photo", 3, 4)
    assert lines == ("000001 500 353\n", "my_photo 3 4\n")
    file.write_text(lines[0] + "\n" + lines[1])
    assert name_size.read(file) == [("000001", 500, 353), ("my_photo", 3, 4)]
    assert name_size.read(str(file))[0].height == 500


MANY = "a 1 " + "9" * 5000  # digits, which int() refuses


@pytest.mark.parametrize(
    "line", ["a 1", "a 1 2 3", "a b 1 2", "a -1 2", "a 1.0 2", "1 2", "", MANY]
)
def test_a_line_is_three_words(line: str) -> None:
    assert name_size.parse_line(line) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a 1 2\n\n b 3 \n", ":3: expected 'name height width', found 'b 3'"),
        (b"\n \n", "is empty"),
        (b"\xff 1\n", ":1: expected 'name height width', found '· 1'"),
    ],
)
def test_a_file_that_does_not_serve(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "sizes").write_bytes(data)
    with pytest.raises(ParseError) as error:
        name_size.read(tmp_path / "sizes")
    assert str(error.value).endswith(said)


def test_a_name_has_any_bytes_but_white_space(tmp_path: Path) -> None:
    names = ["caf\xe9".encode("latin-1"), "\u5199\u771f\u30001".encode(), "a\x85b\u2028".encode()]
    (tmp_path / "sizes").write_bytes(b"".join(name + b" 3 4\r\n" for name in names))
    images = name_size.read(tmp_path / "sizes")
    assert [image.name for image in images] == [os.fsdecode(name) for name in names]
    assert {image[1:] for image in images} == {(3, 4)}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="No such file"):
        name_size.read(tmp_path / "sizes")
