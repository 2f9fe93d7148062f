"""The pages of docs/zoo/: that the committed ones are what is written, and what each has."""

from __future__ import annotations

import re

import pytest

from netgen.zoo.registry import committed_ids, entries
from tests.support import ROOT
from tools.zoo_pages import FOLDER, pages


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages()


def test_docs_are_what_netgen_writes(written: dict[str, str]) -> None:
    assert {str(path.relative_to(ROOT)) for path in (ROOT / FOLDER).iterdir()} == set(written)
    for path, content in written.items():
        assert (ROOT / path).read_text(encoding="utf-8") == content, f"{path}: run make prototxt"


def test_every_id_has_its_card(written: dict[str, str]) -> None:
    everything = "\n".join(written.values())
    assert sorted(re.findall(r"^## (\S+)$", everything, re.MULTILINE)) == sorted(entries())
    folders = dict.fromkeys(entries(), "runs") | dict.fromkeys(committed_ids(), "prototxt")
    for zoo_id, folder in folders.items():
        assert f"netgen build {zoo_id}\n{folder}/{zoo_id}/train.sh\n" in everything
    assert re.findall(r"\*\*(\w+)\*\*", written[f"{FOLDER}/README.md"]) == committed_ids()
