"""What the schema says of fields, and the names that several rooms know a layer by."""

from __future__ import annotations

import ast

import pytest

import caffe_ir
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import shape_text
from caffe_ir.rules.focal_loss import CLASS, DEFAULTS, MODULE, is_focal_loss
from caffe_ir.schema import is_repeated
from tests.support import ROOT


@pytest.mark.parametrize(
    ("name", "repeated"),
    [("name", False), ("bottom", True), ("blobs", True), ("python_param", False)],
)
def test_lists_are_told_from_single_fields(name: str, repeated: bool) -> None:
    assert is_repeated(pb.LayerParameter.DESCRIPTOR.fields_by_name[name]) is repeated


def test_shapes_in_words() -> None:
    assert [shape_text(shape) for shape in ((2, 3, 300, 300), (5,), ())] == [
        "2x3x300x300",
        "5",
        "scalar",
    ]


def test_the_focal_loss_goes_by_module_and_class() -> None:
    layer = pb.LayerParameter(type="Python")
    layer.python_param.module, layer.python_param.layer = MODULE, CLASS
    assert is_focal_loss(layer)
    layer.python_param.module = "focal_of_mine"
    assert not is_focal_loss(layer)


def test_the_file_beside_nets_has_the_names_and_options_that_the_rooms_know() -> None:
    """Caffe runs it by itself, in Python 2.7 even: it cannot ask caffe_ir."""
    written = ast.parse((ROOT / f"netgen/python_layers/{MODULE}.py").read_text()).body
    assert CLASS in [node.name for node in written if isinstance(node, ast.ClassDef)]
    options = [
        ast.literal_eval(node.value)
        for node in written
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DEFAULTS"
    ]
    assert options == [DEFAULTS]
    (function,) = [
        node for node in written if isinstance(node, ast.FunctionDef) and node.name == "focal_loss"
    ]
    names = [argument.arg for argument in function.args.args]
    values = [ast.literal_eval(node) for node in function.args.defaults]
    assert dict(zip(names[-len(values) :], values, strict=True)) == DEFAULTS


def test_every_module_of_the_package_loads_when_it_is_named() -> None:
    folder = ROOT / "caffe_ir"
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    modules |= {file.parent.name for file in folder.glob("*/__init__.py")}
    assert set(caffe_ir.__all__) == modules
    assert all(getattr(caffe_ir, name).__name__ == f"caffe_ir.{name}" for name in modules)
    with pytest.raises(AttributeError, match="no attribute 'txt'"):
        getattr(caffe_ir, "txt")  # noqa: B009  not there on purpose
