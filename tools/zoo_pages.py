"""The pages of docs/zoo/: one of cards per paper, and an index of all ids."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir.rules import shape_text
from netgen.reports.card import commands, markdown, memory, paper, prose, tables, walk
from netgen.zoo.registry import committed_ids, entries, get

FOLDER = "docs/zoo"
_HEAD = """# The zoo

Written by `make prototxt`. Those in bold have their files in `prototxt/`.
[A detector of your own](../own_detectors.md) is a file that netgen loads.
"""
_COLUMNS = ("id", "input", "boxes", "parameters", "GMACs", "training memory")


def pages() -> dict[str, str]:
    """Return the files of `FOLDER`, path → text: one page per zoo module, and an index."""
    modules: dict[str, list[str]] = {}
    for zoo_id, entry in entries().items():
        modules.setdefault(entry.family, []).append(zoo_id)
    found: dict[str, str] = {}
    index = [_HEAD]
    for module, ids in modules.items():
        found[f"{FOLDER}/{module}.md"] = page(ids)
        index.append(_index_line(module, ids))
    found[f"{FOLDER}/README.md"] = "\n".join(index) + "\n"
    return found


def _index_line(module: str, ids: Sequence[str]) -> str:
    committed = {zoo_id: f"**{zoo_id}**" for zoo_id in committed_ids()}
    names = ", ".join(committed.get(zoo_id, zoo_id) for zoo_id in ids)
    return f"- [{module}]({module}.md): {names}"


def page(ids: Sequence[str]) -> str:
    """Return a zoo module's page: its paper, a table of its ids, and a card for each.

    Cards of committed ids are whole; those of others have prose and commands only.
    """
    rows = [_COLUMNS, *map(_page_row, ids)]
    title = f"# {entries()[ids[0]].family}"
    parts = [title, paper(ids[0]), markdown(rows), *map(_section, ids)]
    return "\n\n".join(parts) + "\n"


def _page_row(zoo_id: str) -> tuple[str, ...]:
    found = walk(zoo_id, "deploy")
    return (
        f"[{zoo_id}](#{zoo_id})",
        shape_text(get(zoo_id).image_size),
        f"{found.priors:,}",
        f"{found.learnable - found.frozen:,}",
        f"{found.macs / 1e9:.2f}",
        memory(walk(zoo_id, "train")),
    )


def _section(zoo_id: str) -> str:
    parts = [f"## {zoo_id}", prose(zoo_id)]
    if zoo_id in committed_ids():
        parts += tables(zoo_id)
    else:
        parts.append(commands(zoo_id))
    return "\n\n".join(parts)
