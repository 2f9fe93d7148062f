"""Describes the fields of messages, under every protobuf runtime."""

from __future__ import annotations

from typing import Any


def is_repeated(field: Any) -> bool:
    """Tell whether a field holds a list.

    field: its FieldDescriptor. Runtimes older than 6 lack is_repeated, newer ones warn about label.
    """
    modern = getattr(field, "is_repeated", None)
    if modern is None:
        return field.label == field.LABEL_REPEATED
    return bool(modern)
