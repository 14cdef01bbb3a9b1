from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.formats.lane_groups import LaneGroups, from_dense
from sparsebench.tiling import Caches, choose, choose_kblock, chunk_bounds, k_block, vector_length, widths

CACHES = Caches(l1=32 << 10, l2=1 << 20)


@given(st.integers(1, 5000), st.sampled_from([4, 8, 16]), st.integers(1, 4))
def test_widths_cover_the_columns_evenly(N: int, vlen: int, most: int) -> None:
    tiles = widths(N, vlen, most)
    assert 0 <= sum(tiles) * vlen - N < vlen
    assert max(tiles) <= most
    assert max(tiles) - min(tiles) <= 1


@given(st.integers(1, 200_000), st.sampled_from([1, 4, 8, 16]), st.integers(1, 64))
def test_a_panel_fits_its_cache(K: int, lanes: int, width: int) -> None:
    block = k_block(100, K, lanes, width, CACHES)
    assert 1 <= block <= K
    budget = CACHES.l1 if lanes == 1 else CACHES.l2
    assert block * width * 4 <= budget or block <= 64


def test_a_panel_leaves_l1_where_y_leaves_l2() -> None:
    assert k_block(1024, 4096, 1, 64, CACHES) < k_block(4096, 4096, 1, 64, CACHES)


@pytest.mark.parametrize(("N", "expected"), [(2, 4), (4, 4), (5, 8), (8, 8), (9, 16), (100, 16)])
def test_vectors_are_no_longer_than_the_columns_ask(N: int, expected: int) -> None:
    assert vector_length(N, 16) == expected


def test_no_panel_means_no_blocks_of_k() -> None:
    assert choose_kblock(1, 100, 60_000, 8, 16, CACHES) == 60_000


def groups(M: int, K: int) -> LaneGroups:
    return from_dense(np.ones((M, K), np.float32), 8, K)


@given(st.integers(1, 300), st.integers(1, 9))
def test_chunks_cover_all_groups_in_order(M: int, chunks: int) -> None:
    packed = groups(M, 3)
    bounds = chunk_bounds(packed, chunks)
    assert bounds[0] == 0
    assert bounds[-1] == packed.groups
    assert (np.diff(bounds) >= 0).all()


def test_small_work_stays_on_one_thread() -> None:
    assert choose(groups(16, 16), 8, 16, 8, CACHES).threads == 1


def test_large_work_uses_all_threads_with_equal_shares() -> None:
    tiling = choose(groups(512, 512), 144, 16, 2, CACHES)
    assert tiling.threads == 2
    assert len(tiling.widths) * (len(tiling.chunks) - 1) % 2 == 0


def test_a_contiguous_panel_is_not_packed() -> None:
    assert choose(groups(64, 9000), 48, 16, 1, CACHES).direct


def test_an_x_that_lies_in_l2_is_not_packed() -> None:
    assert choose(groups(512, 512), 128, 16, 1, CACHES).direct
    assert not choose(groups(512, 512), 129, 16, 1, CACHES).direct
    assert not choose(groups(512, 512), 1024, 16, 1, CACHES).direct
