"""ONNX Runtime: products, convolutions and networks as ONNX models on its CPU provider. It multiplies by zeros too.

A product is written in several ways, a convolution optimised with and without blocked channels (NCHWc), and the fastest
is kept: `detail` says which. X and Y are bound where they lie; what a call costs in Python is in its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from packaging.version import Version

from sparsebench.baselines import installed
from sparsebench.candidates import keep_fastest
from sparsebench.kernel import Kernel, Matrix, Plan
from sparsebench.layouts import Layout, flat
from sparsebench.onnx_export import IN_WORDS, INPUT, OUTPUT, Form, layer_model, product_forms

if TYPE_CHECKING:
    from onnx import ModelProto

    from sparsebench.nets import Sequential
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem

# Idle threads spin for so long before they sleep: a fraction of a millisecond, as those of OpenMP in `pool.SPIN`. By
# default they spin for longer than 20 ms, on the cores that the next kernel is timed on.
SPIN_US = 200
# The first version that can be told so; older ones stop at the end of each call.
_SPINS_FOR = Version("1.26")


@dataclass(eq=False, slots=True)
class SessionPlan:
    """A `sparsebench.kernel.Plan`: a session for one shape of X, its input and output bound to the caller's arrays."""

    session: Any
    packed_bytes: int
    detail: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    layout: Layout = "row"
    entry: int = 0
    context: int = 0
    _binding: Any = field(default=None, repr=False)
    _operands: tuple[Matrix, Matrix] | None = field(default=None, repr=False)

    def bind(self, x: Matrix, out: Matrix) -> None:
        """Fix the operands, without copying them."""
        binding = self.session.io_binding()
        for name, array, shape, bind in (
            (INPUT, x, self.shapes[0], binding.bind_input),
            (OUTPUT, out, self.shapes[1], binding.bind_output),
        ):
            (value,) = self.session.get_inputs() if name == INPUT else self.session.get_outputs()
            bind(name, "cpu", 0, np.float32, value.shape, flat(name, array, shape).ctypes.data)
        self._binding = binding
        # The binding has their addresses alone.
        self._operands = x, out

    def call(self) -> None:
        """Compute on the bound operands."""
        self.session.run_with_iobinding(self._binding)

    def run(self, x: Matrix, out: Matrix) -> None:
        """Bind and call."""
        self.bind(x, out)
        self.call()


def load(threads: int) -> None:
    """Load the library; each session has threads of its own."""
    import onnxruntime

    # Errors alone: that a CPU is not known to it, say, is nothing that a user can mend.
    onnxruntime.set_default_logger_severity(3)


def _session(model: ModelProto, threads: int, level: str = "ORT_ENABLE_ALL") -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    if Version(onnxruntime.__version__) >= _SPINS_FOR:
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    else:
        options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _prepare_product(problem: Problem, weights: Weights, threads: int) -> Plan:
    def prepare(form: Form, layout: Layout) -> Plan:
        session = _session(layer_model(problem, weights.dense, form), threads)
        shapes = problem.x_shape_in(layout), problem.y_shape_in(layout)
        return SessionPlan(session, weights.dense.nbytes, f"{IN_WORDS[form]}, {layout}-major", shapes, layout)

    candidates = [partial(prepare, *form) for form in product_forms(problem)]
    return keep_fastest("onnxruntime-dense", candidates, problem, weights, threads)


# Levels of optimisation, and what they do to a convolution.
_LEVELS = {"ORT_ENABLE_ALL": "NCHWc", "ORT_ENABLE_EXTENDED": "NCHW"}


def _of_levels(
    name: str, model: ModelProto, nbytes: int, problem: Problem, weights: Weights | Sequential, threads: int
) -> Plan:
    """Return the faster of two sessions: all optimisations, or those that leave maps as they are."""

    def prepare(level: str) -> Plan:
        detail = f"{level.removeprefix('ORT_')}, {_LEVELS[level]}"
        return SessionPlan(_session(model, threads, level), nbytes, detail, (problem.x_shape, problem.y_shape))

    return keep_fastest(name, [partial(prepare, level) for level in _LEVELS], problem, weights, threads)


def _prepare_conv(problem: Problem, weights: Weights, threads: int) -> Plan:
    model = layer_model(problem, weights.dense)
    return _of_levels("onnxruntime-conv", model, weights.dense.nbytes, problem, weights, threads)


def _prepare_network(
    name: str, engine: Literal["stored", "dense"], problem: Problem, weights: Sequential, threads: int
) -> Plan:
    from sparsebench.nets.engines import for_engine
    from sparsebench.nets.onnx import network_model

    network = for_engine(weights, engine)
    nbytes = sum(array.nbytes for array in network.parameters.values())
    return _of_levels(name, network_model(network, problem.N), nbytes, problem, weights, threads)


def _any(problem: Problem) -> None:
    return None


def _kernel(
    name: str,
    op: str,
    summary: str,
    prepare: Callable[..., Plan],
    engine: Literal["", "stored", "dense"] = "",
) -> Kernel:
    return Kernel(
        name,
        op,
        "onnxruntime",
        summary,
        _any,
        prepare,
        dense=True,
        timed_in="python",
        runtime="onnxruntime",
        engine=engine,
        **installed("onnxruntime", "ONNX Runtime"),
    )


def _network(name: str, engine: Literal["stored", "dense"], summary: str) -> Kernel:
    return _kernel(name, "network", summary, partial(_prepare_network, name, engine), engine)


KERNELS = [
    _kernel("onnxruntime-dense", "matmul", "a one-layer ONNX model, the fastest way to write it", _prepare_product),
    _kernel("onnxruntime-conv", "conv2d", "a one-layer ONNX model, blocked channels or not", _prepare_conv),
    _network("onnxruntime-net", "stored", "as ONNX, ReLU for k-winners; multiplies by zeros too"),
    _network("onnxruntime-net-dense", "dense", "the same with weights that are not zero"),
]
