"""Writes ONNX models: a product or a convolution as a model of one layer, and what whole networks are built of.

For engines that take ONNX, as rivals, and for users who take a pruned network elsewhere. Weights are float32
initializers as they are, zeros included: ONNX has no sparse operand that engines compute with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

import sparsebench
from sparsebench.candidates import layouts
from sparsebench.errors import InputError
from sparsebench.layouts import Layout
from sparsebench.window import Window

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

    from sparsebench.problem import Problem

# Opset 17 and IR 8 are what ONNX Runtime and OpenVINO of 2022 and later read; nothing here needs more.
OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "x", "y"
# A protobuf message is smaller than 2 GiB; the graph around the weights is small.
_MOST_BYTES = (2 << 30) - (1 << 20)

# How a product is written; each engine has its favourite.
# "left": MatMul(W, X). "right": X^T [N, K] by the constant W^T, as in a linear layer of N tokens; Y is [N, M] then.
# "conv": X as a map [1, K, 1, N], W as M filters of 1 x 1.
Form = Literal["left", "right", "conv"]
IN_WORDS: dict[Form, str] = {"left": "MatMul(W, X)", "right": "MatMul(X', W')", "conv": "1x1 Conv"}


@dataclass
class Graph:
    """A graph in the making: nodes in order, each fed with the output of the one before.

    Attributes
    ----------
    current
        Name of the value that the last node gave.
    """

    current: str = INPUT
    nodes: list[NodeProto] = field(default_factory=list)
    initializers: list[TensorProto] = field(default_factory=list)

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Store an array under a name, and return the name."""
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op: str, name: str, inputs: Sequence[str], more: Sequence[str] = (), **attributes: Any) -> None:
        """Append a node; its output is `current` from now on, `more` are names of further outputs."""
        from onnx import helper

        self.current = f"{name}_out"
        self.nodes.append(helper.make_node(op, list(inputs), [self.current, *more], name=name, **attributes))

    def model(
        self, name: str, x_shape: Sequence[int | str], y_shape: Sequence[int | str], about: Mapping[str, str]
    ) -> ModelProto:
        """Finish: the last value becomes the output `y`. A side that is a word may have any length.

        Parameters
        ----------
        about
            Metadata, by key.

        Raises
        ------
        InputError
            If the weights do not fit into one ONNX file.
        """
        from onnx import TensorProto, checker, helper

        nbytes = sum(len(tensor.raw_data) for tensor in self.initializers)
        if nbytes > _MOST_BYTES:
            raise InputError(f"'{name}' has {nbytes / 2**30:.1f} GiB of weights; a single ONNX file holds less than 2")
        self.nodes[-1].output[0] = OUTPUT
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, list(x_shape))],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, list(y_shape))],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            producer_name="sparsebench",
            producer_version=sparsebench.__version__,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        helper.set_model_props(model, dict(about))
        checker.check_model(model, full_check=True)
        return model


def window_attributes(window: Window, *, dilated: bool = True) -> dict[str, Any]:
    """Return the attributes by which Conv and MaxPool know a window; padding is the same on both sides."""
    attributes: dict[str, Any] = {
        "kernel_shape": list(window.kernel),
        "strides": list(window.stride),
        "pads": [*window.padding, *window.padding],
    }
    return attributes | ({"dilations": list(window.dilation)} if dilated else {})


def product_forms(problem: Problem) -> list[tuple[Form, Layout]]:
    """Return the forms in which an engine may be given a product, and the layout of X and Y in each."""
    forms: list[tuple[Form, Layout]] = [("left", "row"), ("conv", "row")]
    # A single column lies in memory as its transpose does.
    right: tuple[Layout, ...] = ("row",) if problem.N == 1 else layouts(problem)[1:]
    return forms + [("right", layout) for layout in right]


def layer_model(problem: Problem, dense: NDArray[np.float32], form: Form = "left") -> ModelProto:
    """Return a product or a convolution with its weights as a model from `x` to `y`.

    Parameters
    ----------
    dense
        W [M, K], zeros included.
    form
        How a product is written; of no meaning for a convolution. In form "right" the model takes and gives
        transposes, which are X and Y in layout "column".
    """
    graph = Graph()
    about = {"problem": str(problem)}
    if problem.conv is not None:
        conv = problem.conv
        filters = dense.reshape(problem.M, conv.channels // conv.groups, *conv.window.kernel)
        inputs = [INPUT, graph.constant("weight", filters)]
        graph.add("Conv", "conv", inputs, group=conv.groups, **window_attributes(conv.window))
        return graph.model("conv2d", problem.x_shape, problem.y_shape, about)
    M, K, N = problem.M, problem.K, problem.N
    if form == "right":
        graph.add("MatMul", "product", [INPUT, graph.constant("weight", dense.T)])
        return graph.model("matmul", (N, K), (N, M), about)
    if form == "conv":
        graph.add("Conv", "product", [INPUT, graph.constant("weight", dense.reshape(M, K, 1, 1))], kernel_shape=[1, 1])
        return graph.model("matmul", (1, K, 1, N), (1, M, 1, N), about)
    graph.add("MatMul", "product", [graph.constant("weight", dense), INPUT])
    return graph.model("matmul", (K, N), (M, N), about)


def save(model: ModelProto, path: str | Path) -> None:
    """Write a model to a file; raises InputError if that fails."""
    try:
        Path(path).write_bytes(model.SerializeToString())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
