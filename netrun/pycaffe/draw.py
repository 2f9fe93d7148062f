"""Pictures of nets as graphs of layers and blobs: pycaffe's caffe.draw. Needs pydot and, but for `.raw`, Graphviz's program dot."""

from __future__ import annotations

from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.phase import filter_net
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic

_COLORS = {"Convolution": "#FF5050", "Deconvolution": "#FF5050", "Pooling": "#FF9900", "InnerProduct": "#CC33FF"}
_IN_PLACE, _OTHERS, _BLOB = "#90EE90", "#6495ED", "#E0E0E0"


def get_edge_label(layer: pb.LayerParameter) -> str:
    """What an arrow from a layer to its top says: images per batch, or channels; for most layers nothing."""
    if layer.type in ("Data", "AnnotatedData"):
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    return str(layer.inner_product_param.num_output) if layer.type == "InnerProduct" else ""


def get_layer_label(layer: pb.LayerParameter, rankdir: str) -> str:
    """A layer's name, type and window: one behind the other where `rankdir` (TB, BT, LR or RL) lays the net out vertically."""
    words = [layer.name, f"({layer.type})"]
    if layer.type in ("Convolution", "Deconvolution"):
        words += _window(layer.convolution_param)
    elif layer.type == "Pooling":
        words[1] = f"({pb.PoolingParameter.PoolMethod.Name(layer.pooling_param.pool)} {layer.type})"
        words += ["global"] if layer.pooling_param.global_pooling else _window(layer.pooling_param)
    return (" " if rankdir in ("TB", "BT") else "\n").join(words)


def _window(param: Any) -> list[str]:
    """Kernel, stride and pad of convolution_param or pooling_param, of both axes where they differ."""
    said = []
    for field, default in (("kernel_size", 1), ("stride", 1), ("pad", 0)):
        stem = field.removesuffix("_size")
        sides = [getattr(param, f"{stem}_{side}") for side in "hw"]
        written = getattr(param, field)
        values = sides if any(sides) else [written] if isinstance(written, int) else list(written) or [default]
        said.append(f"{field.replace('_', ' ')}: {' x '.join(map(str, values if len(set(values)) > 1 else values[:1]))}")
    return said


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer that does not work in place."""
    return _COLORS.get(layertype, _OTHERS)


def get_pydot_graph(caffe_net: pb.NetParameter, rankdir: str, label_edges: bool = True, phase: int | None = None) -> Any:
    """The net as a pydot.Dot. phase: only the layers of caffe.TRAIN or caffe.TEST. Raises CaffeError without pydot."""
    try:
        import pydot  # noqa: PLC0415 - nothing else needs it
    except ImportError:
        raise CaffeError("caffe.draw needs pydot: pip install pydot (and Graphviz, https://graphviz.org)") from None
    graph = pydot.Dot(_quoted(caffe_net.name or "Net"), graph_type="digraph", rankdir=rankdir)
    layers = caffe_net.layer if phase is None else filter_net(caffe_net, phase).layer
    for blob in dict.fromkeys(name for layer in layers for name in (*layer.bottom, *layer.top)):
        graph.add_node(pydot.Node(_quoted(f"{blob} blob"), label=_quoted(blob), shape="octagon", fillcolor=_quoted(_BLOB), style="filled"))
    for i, layer in enumerate(layers):
        node, in_place = f"{i} layer", len(layer.bottom) == 1 and layer.bottom == layer.top
        color = _IN_PLACE if in_place else choose_color_by_layertype(layer.type)
        label = _quoted(get_layer_label(layer, rankdir))
        graph.add_node(pydot.Node(_quoted(node), label=label, shape="box", fillcolor=_quoted(color), style="filled"))
        for bottom in layer.bottom:
            graph.add_edge(pydot.Edge(_quoted(f"{bottom} blob"), _quoted(node)))
        for top in layer.top:
            said = get_edge_label(layer) if label_edges else ""
            graph.add_edge(pydot.Edge(_quoted(node), _quoted(f"{top} blob"), label=_quoted(said)))
    return graph


def _quoted(word: str) -> str:
    """A string of Graphviz's language, in which a name may have any characters."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def draw_net(caffe_net: pb.NetParameter, rankdir: str, ext: str = "png", phase: int | None = None) -> bytes:
    """The picture in a format of Graphviz's; "raw": the text that Graphviz draws. Raises CaffeError without pydot or Graphviz."""
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase)
    if ext == "raw":
        return graph.to_string().encode()
    try:
        return graph.create(format=ext)
    except FileNotFoundError:
        raise CaffeError("caffe.draw needs Graphviz's program dot (https://graphviz.org; pip install pydot alone brings none)") from None
    except (AssertionError, OSError):  # what pydot makes of dot's own failure
        raise CaffeError(f"Graphviz draws no '{ext}'; png, pdf and svg are usual") from None


def draw_net_to_file(caffe_net: pb.NetParameter, filename: str, rankdir: str = "LR", phase: int | None = None) -> None:
    """draw_net() into a file, in the format that its name ends on."""
    write_atomic(filename, draw_net(caffe_net, rankdir, filename.rpartition(".")[2], phase))
