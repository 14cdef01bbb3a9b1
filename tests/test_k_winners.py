from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparsebench import isa
from sparsebench.bench.sampler import timer_for
from sparsebench.errors import InputError, UnavailableError
from sparsebench.k_winners import (
    KWinners,
    global_winners,
    global_winners_lists,
    local_winners,
    local_winners_lists,
    prepare_global,
    prepare_local,
)
from sparsebench.k_winners_reference import (
    reference_global,
    reference_global_lists,
    reference_local,
    reference_local_lists,
)
from sparsebench.memory import aligned_empty

Floats = NDArray[np.float32]
LEVELS = pytest.mark.parametrize("level", isa.available())


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Bit for bit, the sign of a zero and NaN included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(
    prepare: Callable[..., KWinners],
    dense: Callable[..., Floats],
    listed: Callable[..., tuple[NDArray[Any], Floats]],
    x: Floats,
    k: int,
    boost: Floats | None,
    level: str,
) -> None:
    before = x.copy()
    prepared = prepare(x, k, boost, level=level)
    prepared.out.fill(np.nan)
    prepared.call()
    assert same(prepared.out, dense(x, k, boost))

    lists = prepare(x, k, boost, lists=True, level=level)
    lists.values.fill(np.nan)
    lists.call()
    indices, values = listed(x, k, boost)
    assert same(lists.indices, indices)
    assert same(lists.values, values)
    assert same(x, before)

    prepare(x, k, boost, out=x, level=level).call()
    assert same(x, dense(before, k, boost))


def check_global(x: Floats, k: int, boost: Floats | None, level: str) -> None:
    check(prepare_global, reference_global, reference_global_lists, x, k, boost, level)


def check_local(x: Floats, k: int, boost: Floats | None, level: str) -> None:
    check(prepare_local, reference_local, reference_local_lists, x, k, boost, level)


SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38, 1.0, -1.0], np.float32)


def drawn(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    match kind:
        case "normal":
            return rng.standard_normal(shape, np.float32)
        case "negative":
            return -np.abs(rng.standard_normal(shape, np.float32)) - np.float32(1)
        case "rectified":
            return np.maximum(rng.standard_normal(shape, np.float32) - np.float32(1), 0)
        case "few values":
            return rng.integers(-2, 3, shape).astype(np.float32)
        case "equal":
            return np.full(shape, rng.integers(-1, 2), np.float32)
        case "any bits":
            return rng.integers(0, 1 << 32, shape, np.uint32).view(np.float32)
    return rng.choice(SPECIAL, shape)


KINDS = ("normal", "negative", "rectified", "few values", "equal", "any bits", "special")


@LEVELS
@settings(max_examples=150, deadline=None)
@given(
    size=st.one_of(st.integers(1, 40), st.integers(1, 700)),
    k=st.integers(0, 750),
    n=st.integers(0, 3),
    kind=st.sampled_from(KINDS),
    boosted=st.sampled_from([None, *KINDS]),
    seed=st.integers(0, 1 << 30),
)
def test_global(level: str, size: int, k: int, n: int, kind: str, boosted: str | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    boost = drawn(boosted, (size,), rng) if boosted else None
    check_global(drawn(kind, (n, size) if n else (size,), rng), k % (size + 3), boost, level)


@LEVELS
@settings(max_examples=150, deadline=None)
@given(
    channels=st.one_of(st.integers(1, 70), st.sampled_from([128, 255, 256, 257, 300])),
    pixels=st.integers(1, 50),
    k=st.one_of(st.integers(0, 18), st.integers(0, 310)),
    n=st.integers(0, 2),
    kind=st.sampled_from(KINDS),
    boosted=st.sampled_from([None, *KINDS]),
    seed=st.integers(0, 1 << 30),
)
def test_local(
    level: str, channels: int, pixels: int, k: int, n: int, kind: str, boosted: str | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    boost = drawn(boosted, (channels,), rng) if boosted else None
    shape = (n, channels, pixels) if n else (channels, pixels)
    check_local(drawn(kind, shape, rng), k % (channels + 3), boost, level)


@LEVELS
@pytest.mark.parametrize("kind", KINDS)
def test_the_shapes_of_a_network(level: str, kind: str) -> None:
    rng = np.random.default_rng(5)
    check_global(drawn(kind, (1500,), rng), 150, None, level)
    for channels, pixels, k in ((64, 196, 8), (64, 784, 8), (64, 25, 8), (64, 100, 16), (64, 100, 17), (300, 49, 36)):
        check_local(drawn(kind, (channels, pixels), rng), k, None, level)


@LEVELS
def test_every_k(level: str) -> None:
    rng = np.random.default_rng(6)
    for kind in ("normal", "few values"):
        for k in range(40):
            check_local(drawn(kind, (37, 19), rng), k, None, level)
            check_global(drawn(kind, (37,), rng), k, None, level)


def test_ties_go_to_the_lowest_index() -> None:
    x = np.array([1, 3, -0.0, 3, 0, 3], np.float32)
    assert global_winners(x, 2).tolist() == [0, 3, 0, 3, 0, 0]
    indices, values = global_winners_lists(x, 4)
    assert indices.tolist() == [0, 1, 3, 5]
    assert values.tolist() == [1, 3, 3, 3]
    # -0 and 0 tie: the one at 2 wins, and keeps its sign.
    out = global_winners(x, 5)
    assert np.signbit(out[2]) and not np.signbit(out[4])
    assert global_winners_lists(x, 5)[0].tolist() == [0, 1, 2, 3, 5]


def test_local_winners_of_a_pixel() -> None:
    x = np.array([[1, 9], [5, 9], [5, -1], [0, 9]], np.float32)
    assert local_winners(x, 2).tolist() == [[0, 9], [5, 9], [5, 0], [0, 0]]
    channels, values = local_winners_lists(x, 2)
    assert channels.tolist() == [[1, 2], [0, 1]]
    assert values.tolist() == [[5, 5], [9, 9]]


def test_nan_wins_last_and_stays() -> None:
    x = np.array([np.nan, 2, -5], np.float32)
    assert global_winners(x, 2).tolist() == [0, 2, -5]
    out = global_winners(x, 3)
    assert np.isnan(out[0]) and out[1:].tolist() == [2, -5]


def test_boost_ranks_and_is_not_output() -> None:
    x = np.array([[1.0], [2.0], [3.0]], np.float32)
    boost = np.array([10, 1, 1], np.float32)
    assert local_winners(x, 1, boost).ravel().tolist() == [1, 0, 0]
    assert global_winners(x.ravel(), 2, boost).tolist() == [1, 0, 3]


def test_channels_need_two_bytes_beyond_256() -> None:
    for channels, dtype in ((256, np.uint8), (257, np.uint16)):
        x = np.arange(channels, dtype=np.float32).reshape(-1, 1)
        listed, _ = local_winners_lists(x, 1)
        assert listed.dtype == dtype
        assert listed.item() == channels - 1


def test_any_order_of_x_is_taken_once_but_not_bound() -> None:
    x = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert same(local_winners(x, 1), reference_local(np.ascontiguousarray(x), 1))
    with pytest.raises(InputError, match="not in C order"):
        prepare_local(x, 1)


@pytest.mark.parametrize("lists", [False, True])
def test_prepared_is_timed_natively_and_sees_new_input(lists: bool) -> None:
    x = aligned_empty((64, 196))
    x[...] = np.random.default_rng(0).standard_normal(x.shape)
    prepared = prepare_local(x, 8, lists=lists)
    assert prepared.entry and prepared.context
    x[...] = -x
    timer = timer_for([prepared])
    assert timer.seconds(3) > 0
    if lists:
        assert same(prepared.values, reference_local_lists(x, 8)[1])
    else:
        assert same(prepared.out, reference_local(x, 8))


def test_what_is_refused() -> None:
    x = np.zeros((4, 6), np.float32)
    with pytest.raises(InputError, match="x is float64; it must be a float32"):
        global_winners(x.astype(np.float64), 1)
    with pytest.raises(InputError, match=r"x is \[6\]; it must be \[C, P\] or \[n, C, P\]"):
        local_winners(x[0], 1)
    with pytest.raises(InputError, match=r"x is \[0\]; it must be \[size\]"):
        global_winners(x[0, :0], 1)
    with pytest.raises(InputError, match="k is -1; it must be at least 0"):
        global_winners(x, -1)
    with pytest.raises(InputError, match=r"k is 1\.5; it must be a whole number"):
        global_winners(x, 1.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"boost is float32 \[6\]; it must be float32 \[4\]"):
        local_winners(x, 1, np.ones(6, np.float32))
    with pytest.raises(InputError, match="boost is not contiguous"):
        global_winners(x, 1, np.ones(12, np.float32)[::2])
    with pytest.raises(InputError, match=r"out is float32 \[6\]; it must be writeable C-order float32 \[4, 6\]"):
        prepare_global(x, 1, out=np.zeros(6, np.float32))
    with pytest.raises(InputError, match="out overlaps x"):
        flat = np.zeros(30, np.float32)
        prepare_global(flat[:24].reshape(4, 6), 1, out=flat[6:].reshape(4, 6))
    with pytest.raises(InputError, match="out is given together with lists"):
        prepare_global(x, 1, out=x, lists=True)
    with pytest.raises(InputError, match="at most 65536"):
        prepare_local(np.zeros((65537, 1), np.float32), 1)
    with pytest.raises(UnavailableError, match="'v9' is not a level"):
        prepare_global(x, 1, level="v9")
