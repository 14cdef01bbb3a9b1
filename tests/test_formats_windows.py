from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.formats import Complementary
from sparsebench.formats.windows import fits, from_complementary
from sparsebench.patterns import parse_pattern


def packed(M: int, K: int, overlay: int, pattern: str = "complementary/1/partitioned") -> Complementary:
    rng = np.random.default_rng(M * K + overlay)
    kind = parse_pattern(pattern)
    mask = kind.draw(M, K, 1 / overlay, rng)
    dense = np.where(mask.allowed, rng.standard_normal((M, K)), 0).astype(np.float32)
    assert mask.owner is not None
    return Complementary.pack(dense, mask.owner, kind.lanes, overlay)  # type: ignore[attr-defined]


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 32), st.sampled_from([1, 2, 8]))
def test_windows_hold_every_weight_where_it_belongs(M: int, K: int, overlay: int, vectors: int) -> None:
    matrix = packed(M, K, overlay)
    assert fits(matrix, 16)
    windows = from_complementary(matrix, 16, vectors)
    blocks, count, _, vlen = windows.values.shape
    rebuilt = np.zeros((blocks * vectors * vlen, count * overlay), np.float32)
    values = windows.values.transpose(0, 2, 3, 1).reshape(-1, count)
    place = windows.place.transpose(0, 2, 3, 1).reshape(-1, count)
    assert (place < overlay).all()
    rows, columns = np.nonzero(values)
    rebuilt[rows, columns * overlay + place[rows, columns]] = values[rows, columns]
    assert np.array_equal(rebuilt[:M, :K], matrix.unpack())
    assert not rebuilt[M:].any()
    assert not rebuilt[:, K:].any()


@pytest.mark.parametrize(
    ("pattern", "overlay"),
    [("complementary/1", 20), ("complementary/4/partitioned", 20), ("complementary/1/partitioned", 33)],
)
def test_other_patterns_do_not_fit(pattern: str, overlay: int) -> None:
    assert not fits(packed(80, 330, overlay, pattern), 16)
