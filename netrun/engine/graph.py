"""The graph of a net: which layers make and read each blob, with a version per in-place layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from caffe_ir import caffe_ir_pb2 as pb

# The end of the name of a top that the prototxt leaves out. Such a top counts in the loss, but is
# not an output and is not saved.
AUTOMATIC = " (automatic)"


@dataclass(eq=False)
class Version:
    """A blob as one layer makes it.

    name: the blob's name.
    layer: the position of the layer that makes it.
    top: its number among that layer's tops.
    first: whether no earlier layer makes the blob.
    readers: the positions of the layers that read this version.
    """

    name: str
    layer: int
    top: int
    first: bool
    readers: list[int] = field(default_factory=list)


@dataclass
class Graph:
    """Which layer makes and which layers read each version of each blob.

    versions: all versions, in the order in which layers make them.
    bottoms: for each layer, the versions that it reads.
    tops: for each layer, the versions that it makes.
    last: the last version of each blob, by the blob's name.
    """

    versions: list[Version]
    bottoms: list[list[Version]]
    tops: list[list[Version]]
    last: dict[str, Version]

    @property
    def outputs(self) -> list[str]:
        """The named blobs that no layer reads, in Caffe's order, which is alphabetical."""
        found = []
        for name, version in self.last.items():
            if not version.readers and not name.endswith(AUTOMATIC):
                found.append(name)
        return sorted(found)

    @property
    def last_reads(self) -> dict[int, list[str]]:
        """For each layer's position, the blobs that no later layer reads."""
        found: dict[int, list[str]] = {}
        for name, version in self.last.items():
            if version.readers:
                reader = max(version.readers)
                found.setdefault(reader, []).append(name)
        return found

    def overwritable(self, position: int) -> Version | None:
        """The version that the layer at this position works on in place, if it is the only reader.

        None where others read it too, and for a layer that does not work in place.
        """
        bottoms = self.bottoms[position]
        tops = self.tops[position]
        if not bottoms or not tops:
            return None
        in_place = tops[0].name == bottoms[0].name
        if not in_place or bottoms[0].readers != [position]:
            return None
        return bottoms[0]


def build_graph(layers: Sequence[pb.LayerParameter]) -> Graph:
    """Build the graph of layers; every bottom must be an earlier layer's top."""
    graph = Graph([], [], [], {})
    for position, layer in enumerate(layers):
        bottoms = [graph.last[name] for name in layer.bottom]
        for version in bottoms:
            version.readers.append(position)
        graph.bottoms.append(bottoms)
        tops = []
        for top, name in enumerate(layer.top):
            version = Version(name, position, top, first=name not in graph.last)
            tops.append(version)
            graph.last[name] = version
        graph.tops.append(tops)
        graph.versions += tops
    return graph
