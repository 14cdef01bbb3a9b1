from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.formats import Complementary
from sparsebench.formats.columns import from_complementary, too_large
from sparsebench.patterns.complementary import LANES
from sparsebench.patterns.complementary import Complementary as Pattern


@given(st.integers(1, 80), st.integers(1, 40), st.integers(1, 20), st.sampled_from(LANES))
def test_columns_hold_every_weight_where_it_belongs(M: int, K: int, overlay: int, lanes: int) -> None:
    rng = np.random.default_rng(M * K)
    mask = Pattern(lanes).draw(M, K, 1 / overlay, rng)
    dense = np.where(mask.allowed, rng.standard_normal((M, K)), 0).astype(np.float32)
    assert mask.owner is not None
    columns = from_complementary(Complementary.pack(dense, mask.owner, lanes, overlay))
    sets = columns.row.shape[1]
    rebuilt = np.zeros((sets * overlay * lanes, K), np.float32)
    for k in range(K):
        for s in range(sets):
            row = s * overlay * lanes + columns.row[k, s]
            rebuilt[row : row + lanes, k] = columns.values[k, s]
    assert np.array_equal(rebuilt[:M], dense)
    assert not rebuilt[M:].any()


def test_sets_beyond_two_bytes_are_refused() -> None:
    assert too_large(16, 4096) is None
    assert "131,072 rows" in (too_large(16, 8192) or "")
