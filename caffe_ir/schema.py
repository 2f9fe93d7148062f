"""What the schema says of a message's fields, in one spelling for every protobuf runtime."""

from __future__ import annotations

from typing import Any


def is_repeated(field: Any) -> bool:
    """Whether a field holds a list. field: its FieldDescriptor; runtimes before 6 have no is_repeated, later ones warn of label."""
    modern = getattr(field, "is_repeated", None)
    return bool(modern) if modern is not None else field.label == field.LABEL_REPEATED
