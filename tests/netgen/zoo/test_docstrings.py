"""Cards read the same however the docstrings of the zoo are wrapped in their source."""

from __future__ import annotations

from netgen.zoo.docstrings import WIDTH, card_text, paper_text
from netgen.zoo.registry import entries


def test_paragraphs_are_filled() -> None:
    words = "a sentence of some words. " * 12
    narrow = words.replace("of some", "of\nsome").strip()
    wide = card_text(f"First\nparagraph.\n\n{narrow}")
    first, second = wide.split("\n\n")
    assert first == "First paragraph."
    assert " ".join(second.split()) == words.strip()
    lines = second.splitlines()
    assert [len(line) <= WIDTH for line in lines] == [True] * len(lines)
    assert card_text(wide) == wide


def test_lists_tables_and_code_keep_their_lines() -> None:
    layouts = ("- conv4_3\n- fc7", "1. first\n2. second", "| a |\n| - |", "Code:\n    x\n    y")
    for layout in layouts:
        assert card_text(f"Two\nmaps:\n\n{layout}") == f"Two maps:\n\n{layout}"
    fenced = "To train\nit:\n\n```\na\nb\n\nc\nd\n```"
    assert card_text(fenced) == fenced


def test_closing_quotes_on_a_line_of_their_own_are_no_text() -> None:
    assert card_text("One line.\n    ") == "One line."


def test_how_to_run_one_is_for_the_source_alone() -> None:
    text = "A\npaper.\n\nTo run one: `netgen build <id>`,\nthen its train.sh.\n\nMore."
    assert paper_text(text) == "A paper.\n\nMore."


def test_every_card_of_the_zoo_fits() -> None:
    for entry in entries().values():
        lines = [*entry.description.splitlines(), *entry.paper.splitlines()]
        assert max(map(len, lines)) <= WIDTH, entry.id
