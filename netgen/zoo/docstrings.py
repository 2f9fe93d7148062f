"""The text of cards: docstrings of the zoo, without the line breaks of their source."""

from __future__ import annotations

import re
import textwrap

WIDTH = 100  # columns of a card
HOW_TO_RUN = "To run one:"  # begins the paragraph for readers of the source
# A list, a heading, a table, a quotation or indented code.
_LAYOUT = re.compile(r"^(\s|[-*+] |\d+[.)] |[#|>])", re.MULTILINE)


def card_text(docstring: str) -> str:
    """Return a docstring with its paragraphs filled to `WIDTH` columns.

    Paragraphs that depend on their line breaks keep them: lists, headings, tables, indented lines.
    A docstring with a fenced block of code stays as it is.
    """
    if "```" in docstring:
        return docstring
    return "\n\n".join(_filled(paragraph) for paragraph in _paragraphs(docstring))


def paper_text(docstring: str) -> str:
    """Return `card_text` of a zoo module's docstring, without the paragraph on how to run one."""
    kept = [text for text in _paragraphs(docstring) if not text.startswith(HOW_TO_RUN)]
    return card_text("\n\n".join(kept))


def _paragraphs(docstring: str) -> list[str]:
    # `inspect.getdoc` leaves the indentation of closing quotes that follow a single line.
    return docstring.strip().split("\n\n")


def _filled(paragraph: str) -> str:
    if _LAYOUT.search(paragraph):
        return paragraph
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
