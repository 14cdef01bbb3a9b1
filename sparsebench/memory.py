"""Aligned arrays: every operand of every contender starts on a cache line.

MKL's sparse kernels run at half speed when X is 16-byte aligned only, so an
unaligned NumPy array makes a rival look bimodal from run to run.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np
import psutil
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sparsebench.errors import InputError

ALIGNMENT = 64
# Arrays from this size on begin on a huge page and ask for more: 512 times fewer entries in the TLB.
HUGE_FROM = 1 << 20
HUGE_PAGE = 2 << 20


def aligned_empty(
    shape: int | tuple[int, ...], dtype: DTypeLike = np.float32, alignment: int = ALIGNMENT
) -> NDArray[Any]:
    """Return an uninitialised C-ordered array whose data address is a multiple of `alignment` bytes."""
    kind = np.dtype(dtype)
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    nbytes = int(np.prod(dims, dtype=np.int64)) * kind.itemsize
    if nbytes < HUGE_FROM:
        raw = np.empty(nbytes + alignment, dtype=np.uint8)
        start = -raw.ctypes.data % alignment
    else:
        whole = -(-nbytes // HUGE_PAGE) * HUGE_PAGE
        raw = np.empty(whole + HUGE_PAGE, dtype=np.uint8)
        start = -raw.ctypes.data % HUGE_PAGE
        _ask_for_huge_pages(raw.ctypes.data + start, whole)
    return raw[start : start + nbytes].view(kind).reshape(dims)


def _ask_for_huge_pages(address: int, nbytes: int) -> None:
    """Advise the kernel, which may decline: then pages are small, and nothing else changes."""
    if hasattr(mmap, "MADV_HUGEPAGE"):
        ctypes.CDLL(None).madvise(ctypes.c_void_p(address), ctypes.c_size_t(nbytes), mmap.MADV_HUGEPAGE)


def aligned_copy(source: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return a C-ordered, cache-line aligned copy of `source` converted to `dtype`."""
    array = np.asarray(source)
    target = aligned_empty(array.shape, dtype)
    target[...] = array
    return target


def is_aligned(array: NDArray[Any], alignment: int = ALIGNMENT) -> bool:
    """Whether the array's first byte lies on a multiple of `alignment`."""
    return bool(array.ctypes.data % alignment == 0)


def require_memory(nbytes: int, what: str) -> None:
    """Refuse, before anything is allocated, work that would not fit in the memory now available.

    Raises
    ------
    InputError
        With the estimate and the amount available, both in GiB.
    """
    available = int(psutil.virtual_memory().available)
    if nbytes > 0.9 * available:
        raise InputError(
            f"{what} needs about {nbytes / 2**30:,.1f} GiB, and {available / 2**30:,.1f} GiB of memory"
            " is available here; choose a smaller shape or N"
        )
