"""OpenVINO: products, convolutions and networks as ONNX models on its CPU plug-in.

Its threads are set, its affinity is the process's, and it computes in float32: by itself it would take bfloat16 where
the CPU has that. A product is written in several ways; a batch is one request, or shared among requests on as many
streams as threads, which its throughput hint is for. The fastest is kept: `detail` says which. X and Y are used where
they lie; what a call costs in Python is in its time.

The kernels called sparse set CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE. By its documentation that is for int8 weights of
fully connected layers on CPUs with AMX; elsewhere it changes nothing, which is then what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

from sparsebench.baselines import installed
from sparsebench.candidates import Candidate, keep_fastest
from sparsebench.kernel import Kernel, Matrix, Plan
from sparsebench.layouts import Layout, flat
from sparsebench.onnx_export import IN_WORDS, Form, layer_model, product_forms

if TYPE_CHECKING:
    from onnx import ModelProto

    from sparsebench.nets import Sequential
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem

# From which share of zeros on weights may be stored sparse.
SPARSE_FROM = 0.5
# Beyond so many requests the batch is not cut into single inputs.
MOST_REQUESTS = 64


@dataclass(eq=False, slots=True)
class RequestsPlan:
    """A `sparsebench.kernel.Plan`: one request, or several that share a batch, on the caller's arrays."""

    requests: list[Any]
    packed_bytes: int
    detail: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    layout: Layout = "row"
    entry: int = 0
    context: int = 0
    _operands: tuple[Matrix, Matrix] | None = field(default=None, repr=False)

    def bind(self, x: Matrix, out: Matrix) -> None:
        """Fix the operands, without copying them."""
        from openvino import Tensor

        parts = len(self.requests)
        sources = flat("x", x, self.shapes[0]).reshape(parts, -1)
        targets = flat("y", out, self.shapes[1]).reshape(parts, -1)
        for request, source, target in zip(self.requests, sources, targets, strict=True):
            model = request.get_compiled_model()
            request.set_input_tensor(Tensor(source.reshape(tuple(model.inputs[0].shape)), shared_memory=True))
            request.set_output_tensor(Tensor(target.reshape(tuple(model.outputs[0].shape)), shared_memory=True))
        self._operands = x, out

    def call(self) -> None:
        """Compute on the bound operands."""
        if len(self.requests) == 1:
            self.requests[0].infer(share_inputs=True, share_outputs=True)
            return
        for request in self.requests:
            request.start_async()
        for request in self.requests:
            request.wait()

    def run(self, x: Matrix, out: Matrix) -> None:
        """Bind and call."""
        self.bind(x, out)
        self.call()


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def load(threads: int) -> None:
    """Load the library and its CPU plug-in."""
    _core().get_property("CPU", "FULL_DEVICE_NAME")


@dataclass(frozen=True, slots=True)
class _Way:
    """One request with all threads (latency hint), or several on as many streams as threads (throughput hint)."""

    hint: Literal["LATENCY", "THROUGHPUT"]
    requests: int = 1

    @property
    def detail(self) -> str:
        return "latency hint" if self.hint == "LATENCY" else f"throughput hint, {self.requests} requests"


def _requests(model: ModelProto, threads: int, way: _Way, sparse: bool) -> list[Any]:
    """Compile a model for one of the ways, and return its requests."""
    from openvino import Type
    from openvino.properties import hint as hints
    from openvino.properties import inference_num_threads, intel_cpu, streams

    settings = {
        inference_num_threads: threads,
        streams.num: 1 if way.hint == "LATENCY" else threads,
        hints.performance_mode: getattr(hints.PerformanceMode, way.hint),
        hints.inference_precision: Type.f32,
        hints.enable_cpu_pinning: False,
    }
    if sparse:
        settings[intel_cpu.sparse_weights_decompression_rate] = SPARSE_FROM
    core = _core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", settings)
    return [compiled.create_infer_request() for _ in range(way.requests)]


def _ways(N: int, threads: int, *, maps: bool = False) -> list[_Way]:
    """Return ways to share a batch: not at all, among the threads, or of maps, one by one."""
    counts = {count for count in (threads, N if maps and N <= MOST_REQUESTS else 1) if count > 1 and N % count == 0}
    return [_Way("LATENCY"), *(_Way("THROUGHPUT", count) for count in sorted(counts))]


def _prepare_product(name: str, sparse: bool, problem: Problem, weights: Weights, threads: int) -> Plan:
    def prepare(form: Form, layout: Layout, way: _Way) -> Plan:
        model = layer_model(replace(problem, N=problem.N // way.requests), weights.dense, form)
        detail = f"{IN_WORDS[form]}, {layout}-major, {way.detail}"
        shapes = problem.x_shape_in(layout), problem.y_shape_in(layout)
        return RequestsPlan(_requests(model, threads, way, sparse), weights.dense.nbytes, detail, shapes, layout)

    candidates: list[Candidate] = []
    for form, layout in product_forms(problem):
        # Only of a column-major X the columns lie one after the other.
        ways = _ways(problem.N, threads) if layout == "column" else [_Way("LATENCY")]
        candidates += [partial(prepare, form, layout, way) for way in ways]
    return keep_fastest(name, candidates, problem, weights, threads)


def _of_batches(
    name: str,
    model_of: Callable[[int], ModelProto],
    nbytes: int,
    sparse: bool,
    problem: Problem,
    weights: Weights | Sequential,
    threads: int,
) -> Plan:
    def prepare(way: _Way) -> Plan:
        requests = _requests(model_of(problem.N // way.requests), threads, way, sparse)
        return RequestsPlan(requests, nbytes, way.detail, (problem.x_shape, problem.y_shape))

    ways = _ways(problem.N, threads, maps=len(problem.x_shape) == 4)
    candidates = [partial(prepare, way) for way in ways]
    return keep_fastest(name, candidates, problem, weights, threads)


def _prepare_conv(name: str, sparse: bool, problem: Problem, weights: Weights, threads: int) -> Plan:
    def model_of(N: int) -> ModelProto:
        return layer_model(replace(problem, N=N), weights.dense)

    return _of_batches(name, model_of, weights.dense.nbytes, sparse, problem, weights, threads)


def _prepare_network(
    name: str, engine: Literal["stored", "dense"], sparse: bool, problem: Problem, weights: Sequential, threads: int
) -> Plan:
    from sparsebench.nets.engines import for_engine
    from sparsebench.nets.onnx import network_model

    network = for_engine(weights, engine)
    nbytes = sum(array.nbytes for array in network.parameters.values())
    return _of_batches(name, partial(network_model, network), nbytes, sparse, problem, weights, threads)


def _any(problem: Problem) -> None:
    return None


def _kernel(
    name: str,
    op: str,
    summary: str,
    prepare: Callable[..., Plan],
    engine: Literal["", "stored", "dense"] = "",
) -> Kernel:
    sparse = "sparse" in name
    return Kernel(
        name,
        op,
        "openvino",
        summary,
        _any,
        partial(prepare, name, sparse) if not engine else partial(prepare, name, engine, sparse),
        dense=not sparse,
        timed_in="python",
        runtime="openvino",
        engine=engine,
        **installed("openvino", "OpenVINO"),
    )


_PROPERTY = "with CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE (documented for int8 with AMX alone)"

KERNELS = [
    _kernel("openvino-dense", "matmul", "a one-layer ONNX model, the fastest way to write it", _prepare_product),
    _kernel("openvino-sparse", "matmul", f"the same {_PROPERTY}", _prepare_product),
    _kernel("openvino-conv", "conv2d", "a one-layer ONNX model", _prepare_conv),
    _kernel("openvino-sparse-conv", "conv2d", f"the same {_PROPERTY}", _prepare_conv),
    _kernel(
        "openvino-net", "network", "as ONNX, ReLU for k-winners; multiplies by zeros too", _prepare_network, "stored"
    ),
    _kernel("openvino-net-dense", "network", "the same with weights that are not zero", _prepare_network, "dense"),
    _kernel("openvino-sparse-net", "network", f"as openvino-net, {_PROPERTY}", _prepare_network, "stored"),
]
