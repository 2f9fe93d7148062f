"""YAML files of data sets: each value as its file has it, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from data_prep.sources import fields, text_file
from ssd_common.errors import ParseError

# What PyYAML calls the nodes of its tree.
_FORMS = {"scalar": "a text", "sequence": "a list", "mapping": "a mapping"}
_NOTHING = ("", "~", "null")
# Keys and values of a mapping, as nodes.
Pairs = list[tuple[Any, Any]]


class Text(NamedTuple):
    """A value of a file, and its line, from 1."""

    text: str
    line: int


class YamlFile:
    """The values at the top of a YAML file, by key.

    They are texts: a class called `no` or 007 is neither a boolean nor a number.
    Raises ParseError with the line for a file that is not YAML, CaffeError for one that is no text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own: Pairs = []
        self._inherited: Pairs = []
        top = _tree(path)
        if top is None:
            return
        if top.id != "mapping":
            raise self.fault(f"{_shown(top)} where 'key: value' should be", _line(top))
        self._own, self._inherited = _pairs(top)

    def fault(self, message: str, line: int | None = None) -> ParseError:
        """Return the error of something that is wrong with the file."""
        return ParseError(str(self.path), message, line)

    def form(self, key: str) -> str:
        """Return "scalar", "sequence" or "mapping"; "" for a key that is missing or has no value.

        Raises ParseError for a key that is there twice.
        """
        node = self._node(key)
        if node is None or (node.id == "scalar" and not node.style and node.value in _NOTHING):
            return ""
        return node.id

    def line(self, key: str) -> int:
        """Return the line of a key's value."""
        return _line(self._node(key))

    def text(self, key: str) -> Text | None:
        """Return the text of a key; None where there is none. Raises ParseError for a list."""
        if not self.form(key):
            return None
        return self._text(key, self._node(key))

    def texts(self, key: str) -> list[Text]:
        """Return the texts of a key: its only one, or those of a list. Raises ParseError."""
        form = self.form(key)
        node = self._node(key)
        if not form:
            return []
        if form == "sequence":
            return [self._text(key, item) for item in node.value]
        return [self._text(key, node)]

    def mapping(self, key: str) -> list[tuple[Text, Text]]:
        """Return the pairs of a key that has a mapping. Raises ParseError for a pair there twice.

        Raises ParseError for pairs of anything but texts, too.
        """
        found: dict[str, tuple[Text, Text]] = {}
        own, inherited = _pairs(self._node(key))
        for first, second in own:
            name = self._text(key, first)
            if name.text in found:
                earlier = found[name.text][0].line
                fault = f"{key}: {fields.excerpt(name.text)} is also at line {earlier}"
                raise self.fault(fault, name.line)
            found[name.text] = name, self._text(key, second)
        for first, second in inherited:
            name = self._text(key, first)
            found.setdefault(name.text, (name, self._text(key, second)))
        return list(found.values())

    def _node(self, key: str) -> Any:
        """Return the node of a key's value, None for none. Raises ParseError where it has two."""
        own = [(name, value) for name, value in self._own if name.value == key]
        if len(own) > 1:
            first, second = (_line(name) for name, _ in own[:2])
            raise self.fault(f"{key} is also at line {first}", second)
        for name, value in own + self._inherited:
            if name.value == key:
                return value
        return None

    def _text(self, key: str, node: Any) -> Text:
        """Return the text of a node. Raises ParseError where it has none."""
        if node.id != "scalar":
            raise self.fault(f"{key}: {_shown(node)} where a text should be", _line(node))
        text = node.value
        if node.style == '"' and not text.isprintable():
            # "C:\train" is meant as it is written, not with a tab.
            text = node.start_mark.buffer[node.start_mark.pointer + 1 : node.end_mark.pointer - 1]
        return Text(text, _line(node))


def _pairs(node: Any) -> tuple[Pairs, Pairs]:
    """Return the pairs that a mapping has itself, and those that it takes over by `<<: *other`."""
    own: Pairs = []
    inherited: Pairs = []
    for name, value in node.value:
        if name.tag != "tag:yaml.org,2002:merge":
            own.append((name, value))
            continue
        others = [value]
        if value.id == "sequence":
            others = value.value
        for other in others:
            if other.id == "mapping":
                inherited += other.value
    return own, inherited


def _line(node: Any) -> int:
    return node.start_mark.line + 1


def _shown(node: Any) -> str:
    """Name a node for a message: its text, or its form."""
    if node.id == "scalar":
        return f"'{fields.excerpt(node.value)}'"
    return _FORMS[node.id]


def _tree(path: Path) -> Any:
    """Return the node at the top of a YAML file, None for an empty file.

    Raises ParseError, and CaffeError for a file that is no text.
    """
    # Help does without it.
    import yaml  # noqa: PLC0415

    text = _read(path)
    try:
        loader = yaml.SafeLoader(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = None
        if error.problem_mark:
            line = error.problem_mark.line + 1
        raise ParseError(str(path), f"not YAML: {_said(error)}", line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        fault = "not YAML: a character that it does not allow"
        raise ParseError(str(path), fault, line) from None
    except RecursionError:
        raise ParseError(str(path), "not YAML: lists too deep in each other") from None


def _said(error: Any) -> str:
    """Say what is wrong with a YAML file, where it began, and what to do about it."""
    said = str(error.problem)
    if error.context and error.context_mark:
        said = f"{error.context} from line {error.context_mark.line + 1}: {said}"
    if "double-quoted" in said:
        return f"{said} (a path with \\ goes without quotes, or in single ones)"
    if "'\\t'" in said:
        return f"{said} (YAML indents with spaces)"
    return said


def _read(path: Path) -> str:
    """Return the text of a file in UTF-8 or UTF-16. Raises CaffeError for any other."""
    with text_file.opened(path, "a YAML file", newline="") as file:
        return file.read()
