"""PyTorch modules, run as they are and by torch.compile: one dense product, and whole networks.

torch.compile freezes the weights, so that it may pack them, and is told that shapes stay as they are. Compiling is part
of preparing. Networks are those of `sparsebench.nets` as a dense engine runs them: with ReLU in place of k-winners.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from sparsebench.baselines.torch import Compute, Given, TensorPlan, columns_of, kernel, library, load, pytorch
from sparsebench.candidates import Candidate, keep_fastest
from sparsebench.kernel import Plan

if TYPE_CHECKING:
    from sparsebench.layouts import Layout
    from sparsebench.nets.engines import EngineWeights
    from sparsebench.nets.network import Sequential
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem

__all__ = ["KERNELS", "load"]
Module = Any


def _compiled(module: Module, shape: tuple[int, ...]) -> Compute:
    """Return the module as torch.compile makes it for inputs of a shape, compiled."""
    torch = library()

    def run(x: Any) -> Any:
        return module(x)

    # torch.compile keeps what it has compiled with the code object, of which all closures made here have the same: it
    # would try one after the other, and after eight go on uncompiled.
    own = FunctionType(run.__code__.replace(), run.__globals__, run.__name__, None, run.__closure__)
    compiled = torch.compile(own, fullgraph=True, dynamic=False, options={"freezing": True})
    compiled(torch.zeros(shape))
    return lambda x, out: compiled(x)


def _product(W: Any, by_columns: bool) -> Module:
    """Return a module that multiplies X as [N, K] by W, or W by X."""
    torch = library()
    weight = torch.nn.Parameter(W, requires_grad=False)
    if by_columns:
        # On no device: its own weights are not drawn.
        module = torch.nn.Linear(*reversed(W.shape), bias=False, device="meta")
        module.weight = weight
        return module.eval()

    class Product(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, x: Any) -> Any:
            return torch.mm(self.weight, x)

    return Product().eval()


def _prepare_product(problem: Problem, weights: Weights, threads: int) -> Plan:
    W, nbytes = library().from_numpy(weights.dense), weights.dense.nbytes
    K, N = problem.K, problem.N

    def column(layout: Layout, given: Given) -> Plan:
        compute = _compiled(_product(W, by_columns=True), (N, K))
        return TensorPlan(compute, nbytes, "torch.compile of nn.Linear", layout=layout, given=given)

    def row() -> Plan:
        return TensorPlan(_compiled(_product(W, by_columns=False), (K, N)), nbytes, "torch.compile of torch.mm")

    candidates: list[Candidate] = [row, *(partial(column, *form) for form in columns_of(problem))]
    return keep_fastest("torch-compile", candidates, problem, weights, threads)


def _layer(layer: Any, parameters: dict[str, Any]) -> Module:
    """Return the module that computes a layer."""
    from sparsebench.nets.layers import GELU, Conv2d, Flatten, Linear, MaxPool2d, ReLU

    nn = library().nn
    match layer:
        case Linear():
            module = nn.Linear(layer.in_features, layer.out_features, layer.bias, device="meta")
        case Conv2d():
            window = layer.window
            module = nn.Conv2d(
                layer.in_channels,
                layer.out_channels,
                window.kernel,
                window.stride,
                window.padding,
                window.dilation,
                layer.groups,
                layer.bias,
                device="meta",
            )
        case MaxPool2d():
            return nn.MaxPool2d(layer.window.kernel, layer.window.stride, layer.window.padding)
        case ReLU():
            return nn.ReLU()
        case GELU():
            return nn.GELU()
        case Flatten():
            return nn.Flatten()
        case _:
            raise TypeError(f"no module for {layer}")
    for name, value in parameters.items():
        setattr(module, name, nn.Parameter(value, requires_grad=False))
    return module


def network(net: Sequential) -> Module:
    """Return the module that computes a network without k-winners, see `sparsebench.nets.engines.for_engine`."""
    torch, arrays = library(), net.parameters
    layers = [
        _layer(layer, {key: torch.from_numpy(arrays[f"{name}.{key}"]) for key in layer.parameters})
        for name, layer in net.named_layers.items()
    ]
    return torch.nn.Sequential(*layers).eval()


def _eager(module: Module, shape: tuple[int, ...]) -> Compute:
    return lambda x, out: module(x)


class _ChannelsLast:
    """A network of maps, its weights and its input as [N, height, width, channels]; converting is part of the call."""

    def __init__(self, module: Module) -> None:
        self._format = library().channels_last
        self._module = deepcopy(module).to(memory_format=self._format)

    def __call__(self, x: Any) -> Any:
        return self._module(x.to(memory_format=self._format))


def _prepare_network(
    name: str,
    run: Callable[[Module, tuple[int, ...]], Compute],
    said: str,
    engine: EngineWeights,
    problem: Problem,
    weights: Sequential,
    threads: int,
) -> Plan:
    from sparsebench.nets.engines import for_engine

    module = network(for_engine(weights, engine))
    nbytes = sum(p.numel() * p.element_size() for p in module.parameters())

    def plan(channels_last: bool) -> Plan:
        compute = run(_ChannelsLast(module) if channels_last else module, problem.x_shape)
        return TensorPlan(compute, nbytes, f"{said}, channels last" if channels_last else said)

    maps = len(problem.x_shape) == 4
    candidates: list[Candidate] = [partial(plan, last) for last in ((False, True) if maps else (False,))]
    return keep_fastest(name, candidates, problem, weights, threads)


def _any(problem: Problem) -> None:
    return None


def _compile(name: str, summary: str, prepare: Any, **more: Any) -> Any:
    """Return a kernel that needs what compiles, too."""
    needed = pytorch()
    if "missing" not in needed and not shutil.which(os.environ.get("CXX", "g++")):
        needed["missing"] = "torch.compile needs a C++ compiler: apt-get install g++, or set CXX"
    return kernel(name, summary, _any, prepare, dense=True, **(more | needed))


_EAGER: list[tuple[str, EngineWeights, str]] = [
    ("torch-net", "stored", "nn.Sequential of dense layers, ReLU for k-winners"),
    ("torch-net-dense", "dense", "the same with weights that are not zero"),
]

KERNELS = [
    _compile("torch-compile", "torch.compile of the dense product, weights frozen", _prepare_product),
    *(
        kernel(
            name,
            summary,
            _any,
            partial(_prepare_network, name, _eager, "nn.Sequential", engine),
            op="network",
            dense=True,
            engine=engine,
        )
        for name, engine, summary in _EAGER
    ),
    _compile(
        "torch-compile-net",
        "torch.compile of the same, weights frozen",
        partial(_prepare_network, "torch-compile-net", _compiled, "torch.compile", "stored"),
        op="network",
        engine="stored",
    ),
]
