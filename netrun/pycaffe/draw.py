"""Draws nets as graphs of layers and blobs: pycaffe's caffe.draw.

It needs pydot and, except for `.raw`, Graphviz's program dot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.phase import filter_net
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic

_CONVOLUTIONS = ("Convolution", "ConvolutionDepthwise", "DepthwiseConvolution", "Deconvolution")
_LEARNING = (*_CONVOLUTIONS, "InnerProduct")
_COLORS = {
    **dict.fromkeys(_CONVOLUTIONS, "#FF5050"),
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
_IN_PLACE = "#90EE90"
_OTHERS = "#6495ED"
_BLOB = "#E0E0E0"


def get_edge_label(layer: pb.LayerParameter) -> str:
    """Return the text on an arrow from a layer to its top.

    The text is the batch size or the number of channels; for most layers it is empty.
    """
    if layer.type in ("Data", "AnnotatedData"):
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in _CONVOLUTIONS:
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return ""


def get_layer_lr_mult(layer: pb.LayerParameter) -> tuple[float, float]:
    """Return lr_mult of a layer's weights and of its biases.

    Raises ValueError for a layer that does not multiply by weights, as pycaffe.
    """
    if layer.type not in _LEARNING:
        raise ValueError(f"{layer.type} layers do not have a learning rate multiplier")
    written = [param.lr_mult for param in layer.param]
    weights, biases = [*written, 1.0, 1.0][:2]
    return weights, biases


def get_layer_label(
    layer: pb.LayerParameter,
    rankdir: str,
    display_lrm: bool = False,
) -> str:
    """Return a layer's name, type and window.

    rankdir: where the net's layers go: TB or BT, which makes one line, LR or RL.
    display_lrm: whether to add lr_mult of layers that multiply by weights, where they learn.
    """
    words = [layer.name, f"({layer.type})"]
    if layer.type in _CONVOLUTIONS:
        words += _window(layer.convolution_param)
    elif layer.type == "Pooling":
        method = pb.PoolingParameter.PoolMethod.Name(layer.pooling_param.pool)
        words[1] = f"({method} {layer.type})"
        if layer.pooling_param.global_pooling:
            words.append("global")
        else:
            words += _window(layer.pooling_param)
    if display_lrm and layer.type in _LEARNING:
        weights, biases = get_layer_lr_mult(layer)
        if weights or biases:
            words.append(f"lr mult: {weights:.1f}, {biases:.1f}")
    separator = "\n"
    if rankdir in ("TB", "BT"):
        separator = " "
    return separator.join(words)


def _window(param: Any) -> list[str]:
    """Kernel, stride and pad of convolution_param or pooling_param."""
    texts = []
    for field, default in (("kernel_size", 1), ("stride", 1), ("pad", 0)):
        sides = _sides(param, field, default)
        if len(set(sides)) == 1:
            sides = sides[:1]
        numbers = " x ".join(str(side) for side in sides)
        texts.append(f"{field.replace('_', ' ')}: {numbers}")
    return texts


def _sides(param: Any, field: str, default: int) -> Sequence[int]:
    """A field's value along each axis, or one value for all."""
    stem = field.removesuffix("_size")
    sides = [getattr(param, f"{stem}_{side}") for side in "hw"]
    if any(sides):
        return sides
    written = getattr(param, field)
    if isinstance(written, int):
        return [written]
    return list(written) or [default]


def choose_color_by_layertype(layertype: str) -> str:
    """Return the colour of a layer of this type that does not work in place."""
    return _COLORS.get(layertype, _OTHERS)


def get_pydot_graph(
    caffe_net: pb.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """Turn the net into a pydot.Dot.

    phase: only the layers of caffe.TRAIN or caffe.TEST; None: all.
    display_lrm: whether to show lr_mult.
    Raises CaffeError without pydot.
    """
    try:
        import pydot  # noqa: PLC0415 - nothing else needs it
    except ImportError:
        raise CaffeError(
            "caffe.draw needs pydot: pip install pydot (and Graphviz, https://graphviz.org)"
        ) from None
    name = _quoted(caffe_net.name or "Net")
    graph = pydot.Dot(name, graph_type="digraph", rankdir=rankdir)
    if phase is not None:
        caffe_net = filter_net(caffe_net, phase)
    layers = caffe_net.layer
    blobs = dict.fromkeys(name for layer in layers for name in (*layer.bottom, *layer.top))
    for blob in blobs:
        graph.add_node(_node(pydot, f"{blob} blob", blob, "octagon", _BLOB))
    for i, layer in enumerate(layers):
        node = f"{i} layer"
        label = get_layer_label(layer, rankdir, display_lrm)
        graph.add_node(_node(pydot, node, label, "box", _color(layer)))
        for bottom in layer.bottom:
            graph.add_edge(pydot.Edge(_quoted(f"{bottom} blob"), _quoted(node)))
        text = ""
        if label_edges:
            text = get_edge_label(layer)
        for top in layer.top:
            to = _quoted(f"{top} blob")
            graph.add_edge(pydot.Edge(_quoted(node), to, label=_quoted(text)))
    return graph


def _node(pydot: Any, name: str, label: str, shape: str, color: str) -> Any:
    return pydot.Node(
        _quoted(name),
        label=_quoted(label),
        shape=shape,
        fillcolor=_quoted(color),
        style="filled",
    )


def _color(layer: pb.LayerParameter) -> str:
    if len(layer.bottom) == 1 and layer.bottom == layer.top:
        return _IN_PLACE
    return choose_color_by_layertype(layer.type)


def _quoted(word: str) -> str:
    """Quote a name, with any characters, as a string in Graphviz's language."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def draw_net(
    caffe_net: pb.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """Draw the picture in one of Graphviz's formats.

    ext: the format; "raw": the text that Graphviz draws.
    display_lrm: whether to show lr_mult.
    Raises CaffeError without pydot or Graphviz, and for an unknown format.
    """
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    if ext == "raw":
        return graph.to_string().encode()
    try:
        return graph.create(format=ext)
    except FileNotFoundError:
        raise CaffeError(
            "caffe.draw needs Graphviz's program dot "
            "(https://graphviz.org; pip install pydot alone brings none)"
        ) from None
    except (AssertionError, OSError):  # pydot raises these where dot fails
        raise CaffeError(f"Graphviz draws no '{ext}'; png, pdf and svg are usual") from None


def draw_net_to_file(
    caffe_net: pb.NetParameter,
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Write draw_net()'s picture to a file, in the format of its suffix."""
    ext = filename.rpartition(".")[2]
    write_atomic(filename, draw_net(caffe_net, rankdir, ext, phase, display_lrm))
