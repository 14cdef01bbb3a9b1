"""oneDNN's direct convolution, called by way of PyTorch.

The fastest of plain F.conv2d, weights packed once, and channels last with its conversions in the timed call is kept.
torch.compile calls the same primitive and adds its own call, so it is not tried.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sparsebench.baselines.torch import Compute, TensorPlan, kernel, library, load
from sparsebench.candidates import keep_fastest
from sparsebench.kernel import Plan

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem

__all__ = ["KERNELS", "load"]


def _plain(W: object, problem: Problem) -> Compute:
    conv, conv2d = problem.conv, library().nn.functional.conv2d
    assert conv is not None
    window, groups = conv.window, conv.groups
    return lambda x, out: conv2d(x, W, None, window.stride, window.padding, window.dilation, groups)


def _packed(W: object, problem: Problem) -> Compute | None:
    torch, conv = library(), problem.conv
    assert conv is not None
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")):
        return None
    window = conv.window
    padding, stride, dilation = list(window.padding), list(window.stride), list(window.dilation)
    packed = torch.ops.mkldnn._reorder_convolution_weight(
        W, padding, stride, dilation, conv.groups, list(problem.x_shape)
    )
    convolve = torch.ops.mkldnn._convolution_pointwise.default
    return lambda x, out: convolve(x, packed, None, padding, stride, dilation, conv.groups, "none", [], "")


def _channels_last(W: object, problem: Problem) -> Compute:
    torch = library()
    last = {"memory_format": torch.channels_last}
    convolve = _plain(W.to(**last), problem)  # type: ignore[attr-defined]
    return lambda x, out: convolve(x.to(**last), out).contiguous()


def _prepare(problem: Problem, weights: Weights, threads: int) -> Plan:
    conv = problem.conv
    assert conv is not None
    filters = (problem.M, conv.channels // conv.groups, *conv.window.kernel)
    W = library().from_numpy(weights.dense).view(filters)
    ways = {"F.conv2d": _plain, "packed weights": _packed, "channels last, converted in the call": _channels_last}

    def plan(detail: str) -> Plan | None:
        compute = ways[detail](W, problem)
        return None if compute is None else TensorPlan(compute, weights.dense.nbytes, f"oneDNN, {detail}")

    return keep_fastest("onednn-conv", [partial(plan, detail) for detail in ways], problem, weights, threads)


def _supports(problem: Problem) -> str | None:
    return None if problem.conv is not None else "takes convolutions"


KERNELS = [
    kernel("onednn-conv", "oneDNN's direct convolution by F.conv2d", _supports, _prepare, op="conv2d", dense=True),
]
