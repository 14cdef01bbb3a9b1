"""k-winners: keep the k largest activations and set the others to zero, or list them.

*Global* k-winners compete over a whole map, *local* ones among the channels of each pixel (Ahmad and Scheinkman 2019,
"How Can We Be So Dense?", arXiv:1903.11257). The cut is strict: exactly k win, or all where there are fewer; of equal
ones the lowest index first, -0 and 0 being equal. NaN ranks as -infinity, so that it wins only where fewer than k
others can, and then stays NaN. Winners are ranked by x, or by x * boost (for the boosting of that paper:
exp(-beta * duty cycle)); what is returned is x, never the rank.

The functions here allocate what they return. `prepare_global` and `prepare_local` bind arrays once, for calls without
Python: their `entry` and `context` are what `sparsebench.bench.sampler.timer_for` times.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsebench import isa
from sparsebench.errors import InputError
from sparsebench.memory import aligned_empty

Floats = NDArray[np.float32]

# Lists hold uint16 channels and int32 indices.
MAX_CHANNELS = 1 << 16
MAX_SIZE = (1 << 31) - 1


class _Native(Protocol):
    entry: int
    context: int

    def call(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class KWinners:
    """k-winners bound to arrays: each call reads `x` and writes `out`, or `indices` and `values`.

    Attributes
    ----------
    x
        The array that was given; write the next input into it.
    k
        How many win: what was asked for, or all where that is less.
    out
        Winners in the shape of x, zeros elsewhere; None if lists were asked for.
    indices, values
        Winners as lists, ascending; None if not. See `global_winners_lists` and `local_winners_lists`.
    """

    x: Floats
    k: int
    out: Floats | None
    indices: NDArray[Any] | None
    values: Floats | None
    _native: _Native

    @property
    def entry(self) -> int:
        """Address of the native ``void (*)(void *)``."""
        return self._native.entry

    @property
    def context(self) -> int:
        """Address that `entry` is called with; valid as long as this object lives."""
        return self._native.context

    def call(self) -> None:
        """Compute once."""
        self._native.call()


def prepare_global(
    x: Floats,
    k: int,
    boost: Floats | None = None,
    *,
    lists: bool = False,
    out: Floats | None = None,
    level: str | None = None,
) -> KWinners:
    """Bind k-winners over a whole map to arrays.

    Parameters
    ----------
    x
        float32 [size], or a batch [n, size], C order.
    k
        Winners of each map, at least 0.
    boost
        float32 [size]: the factor by which each rank differs from x.
    lists
        Whether to list the winners instead of writing them in the shape of x.
    out
        Where to write, float32 in the shape of x and C order; may be x. Without it an array is allocated.
    level
        Instruction set, see `sparsebench.isa`; without it the one in use.

    Raises
    ------
    InputError
        If an array has another shape, dtype or order, out and x overlap without being the same, or k is negative.
    UnavailableError
        If the level cannot run here.
    """
    _require("x", x, ("size", "n, size"), MAX_SIZE)
    k = _clamped(k, x.shape[-1])
    planes = x.reshape(-1, x.shape[-1], 1)
    return _prepare(x, planes, k, boost, (*x.shape[:-1], k), np.int32 if lists else None, out, level, local=False)


def prepare_local(
    x: Floats,
    k: int,
    boost: Floats | None = None,
    *,
    lists: bool = False,
    out: Floats | None = None,
    level: str | None = None,
) -> KWinners:
    """Bind k-winners among the channels of each pixel to arrays.

    Parameters are those of `prepare_global`, but that x is float32 [C, P] or [n, C, P] with the P pixels of a channel
    next to each other, at most 65,536 channels, and boost is float32 [C].
    """
    _require("x", x, ("C, P", "n, C, P"), MAX_CHANNELS)
    channels, pixels = x.shape[-2:]
    k = _clamped(k, channels)
    planes = x.reshape(-1, channels, pixels)
    dtype = (np.uint8 if channels <= 256 else np.uint16) if lists else None
    return _prepare(x, planes, k, boost, (*x.shape[:-2], pixels, k), dtype, out, level, local=True)


def global_winners(x: Floats, k: int, boost: Floats | None = None) -> Floats:
    """Return x [size] or [n, size] with all but the k winners of each map set to zero; see `prepare_global`."""
    return _dense(prepare_global(np.ascontiguousarray(x), k, boost))


def global_winners_lists(x: Floats, k: int, boost: Floats | None = None) -> tuple[NDArray[np.int32], Floats]:
    """Return the winners of each map: indices int32 and values float32, both [k] or [n, k], ascending by index."""
    return _lists(prepare_global(np.ascontiguousarray(x), k, boost, lists=True))


def local_winners(x: Floats, k: int, boost: Floats | None = None) -> Floats:
    """Return x [C, P] or [n, C, P] with all but the k winners of each pixel set to zero; see `prepare_local`."""
    return _dense(prepare_local(np.ascontiguousarray(x), k, boost))


def local_winners_lists(x: Floats, k: int, boost: Floats | None = None) -> tuple[NDArray[Any], Floats]:
    """Return the winners of each pixel, ascending by channel.

    Returns
    -------
    tuple
        Channels (uint8, or uint16 where C > 256) and values float32, both [P, k] or [n, P, k]: the winners of a pixel
        lie next to each other.
    """
    return _lists(prepare_local(np.ascontiguousarray(x), k, boost, lists=True))


def _dense(prepared: KWinners) -> Floats:
    assert prepared.out is not None
    prepared.call()
    return prepared.out


def _lists(prepared: KWinners) -> tuple[NDArray[Any], Floats]:
    assert prepared.indices is not None and prepared.values is not None
    prepared.call()
    return prepared.indices, prepared.values


def _prepare(
    x: Floats,
    planes: Floats,
    k: int,
    boost: Floats | None,
    list_shape: tuple[int, ...],
    list_dtype: type[np.generic] | None,
    out: Floats | None,
    level: str | None,
    *,
    local: bool,
) -> KWinners:
    """Allocate and bind; `planes` is x as [n, C, P], and lists are wanted if they have a dtype."""
    _check_boost(boost, planes.shape[1])
    module = isa.module("k_winners", level)
    if list_dtype is not None:
        if out is not None:
            raise InputError("out is given together with lists=True; lists are allocated, so leave one of them away")
        indices, values = aligned_empty(list_shape, list_dtype), aligned_empty(list_shape)
        return KWinners(x, k, None, indices, values, module.Winners(planes, k, local, boost, None, indices, values))
    target = aligned_empty(x.shape) if out is None else out
    _check_out(target, x)
    native = module.Winners(planes, k, local, boost, target.reshape(planes.shape), None, None)
    return KWinners(x, k, target, None, None, native)


def _clamped(k: int, most: int) -> int:
    try:
        wanted = operator.index(k)
    except TypeError:
        raise InputError(f"k is {k!r}; it must be a whole number, at least 0") from None
    if wanted < 0:
        raise InputError(f"k is {wanted}; it must be at least 0")
    return min(wanted, most)


def _require(name: str, array: Floats, forms: tuple[str, str], most: int) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"{name} is {kind}; it must be a float32 array, or ties would be others than the caller's")
    dims = len(forms[0].split(","))
    if array.ndim not in (dims, dims + 1) or array.size == 0:
        raise InputError(f"{name} is {list(array.shape)}; it must be [{forms[0]}] or [{forms[1]}], all at least 1")
    if array.shape[-dims] > most:
        raise InputError(f"{name} has {array.shape[-dims]} to choose from; at most {most} are possible")
    if not array.flags.c_contiguous:
        raise InputError(f"{name} is not in C order; pass np.ascontiguousarray({name})")


def _check_boost(boost: Floats | None, count: int) -> None:
    if boost is None:
        return
    if not isinstance(boost, np.ndarray) or boost.dtype != np.float32 or boost.shape != (count,):
        form = f"{boost.dtype} {list(boost.shape)}" if isinstance(boost, np.ndarray) else type(boost).__name__
        raise InputError(f"boost is {form}; it must be float32 [{count}]")
    if not boost.flags.c_contiguous:
        raise InputError("boost is not contiguous; pass np.ascontiguousarray(boost)")


def _check_out(out: Floats, x: Floats) -> None:
    if out.dtype != np.float32 or out.shape != x.shape or not out.flags.c_contiguous or not out.flags.writeable:
        raise InputError(f"out is {out.dtype} {list(out.shape)}; it must be writeable C-order float32 {list(x.shape)}")
    if np.may_share_memory(out, x) and out.ctypes.data != x.ctypes.data:
        raise InputError("out overlaps x; it must be x itself or lie apart from it")
