"""Other libraries' kernels under our contract: one file per library, each with a list KERNELS."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparsebench.problem import Problem


def supports_im2col(problem: Problem) -> str | None:
    """Return why a convolution is not one matrix times columns that im2col writes, or None: a `Kernel.supports`."""
    return None if problem.conv is not None and problem.conv.groups == 1 else "takes no groups of channels"
