from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench import isa
from sparsebench.formats.lane_groups import LaneGroups, from_dense
from sparsebench.layouts import Layout
from sparsebench.tiling import (
    FREE,
    MAX_ROW_COLUMNS,
    Caches,
    Choice,
    Setting,
    alternatives,
    chunk_bounds,
    column_tiles,
    k_block,
    lay_out,
    model_axis,
    model_choice,
    model_kblock,
    preferred_lanes,
    widths,
)

CACHES = Caches(l1=32 << 10, l2=1 << 20)


def setting(M: int, K: int, N: int, lanes: int = 8, threads: int = 1, layout: Layout = "row") -> Setting:
    return Setting(M, K, N, lanes, layout, 16, threads, CACHES)


def choice_of(case: Setting) -> Choice:
    return model_choice(case, groups(case.M, case.K))


@given(st.integers(1, 5000), st.sampled_from([4, 8, 16]), st.integers(1, 4))
def test_widths_cover_the_columns_evenly(N: int, vlen: int, most: int) -> None:
    tiles = widths(N, vlen, most)
    assert 0 <= sum(tiles) * vlen - N < vlen
    assert max(tiles) <= most
    assert max(tiles) - min(tiles) <= 1


@given(st.integers(16, 3000), st.sampled_from([4, 8, 16]), st.integers(1, 3), st.sampled_from(["row", "blocked"]))
def test_tiles_meet_and_stay_in_their_block(N: int, vlen: int, most: int, layout: Layout) -> None:
    tiles = column_tiles(N, layout, vlen, most)
    column = 0
    for tile in tiles:
        assert tile.column == column
        assert tile.block <= tile.column
        assert tile.column + tile.valid <= tile.block + tile.ld
        assert 0 <= tile.vectors * vlen - tile.valid < vlen
        column += tile.valid
    assert column == N if layout == "row" else 0 <= column - N < 16


@given(st.integers(1, 200_000), st.sampled_from([1, 4, 8, 16]), st.integers(1, 64), st.booleans())
def test_a_panel_fits_its_cache(K: int, lanes: int, width: int, in_l1: bool) -> None:
    block = k_block(setting(100, K, width, lanes), width, in_l1)
    assert 1 <= block <= K
    assert block * width * 4 <= (CACHES.l1 if in_l1 else CACHES.l2) or block <= 64


def test_a_panel_leaves_l1_where_y_leaves_l2() -> None:
    assert model_kblock(setting(1024, 4096, 64, lanes=1)) < model_kblock(setting(4096, 4096, 64, lanes=1))


@pytest.mark.parametrize(("N", "expected"), [(2, 4), (4, 4), (5, 8), (8, 8), (9, 16), (100, 16)])
def test_vectors_are_no_longer_than_the_columns_ask(N: int, expected: int) -> None:
    assert setting(8, 8, N).vlen == expected


def test_no_panel_means_no_blocks_of_k() -> None:
    assert model_kblock(setting(100, 60_000, 1)) == 60_000


def test_a_blocked_layout_is_never_vectorised_over_rows() -> None:
    assert model_axis(replace(setting(64, 64, 16, lanes=16), N=12)) == "rows"
    assert model_axis(setting(64, 64, 16, lanes=16, layout="blocked")) == "columns"


@given(st.integers(1, 60), st.sampled_from([1, 8, 16]), st.integers(1, 2), st.sampled_from(["row", "blocked"]))
def test_alternatives_change_one_thing_and_can_be_laid_out(N: int, lanes: int, threads: int, layout: Layout) -> None:
    if layout == "blocked":
        N += 15
    case = setting(48, 90, N, lanes, threads, layout)
    packed = from_dense(np.ones((48, 90), np.float32), lanes, model_kblock(case))
    first = model_choice(case, packed)
    for variable in FREE:
        for other in alternatives(case, first, variable):
            assert getattr(other, variable) != getattr(first, variable)
            repacked = from_dense(np.ones((48, 90), np.float32), lanes, other.kblock)
            assert lay_out(case, other, repacked).choice == other


@pytest.mark.parametrize("level", isa.available())
def test_the_engine_has_a_row_tile_for_as_many_columns(level: str) -> None:
    assert isa.module("lane_engine", level).ROW_COLUMNS == MAX_ROW_COLUMNS


def test_few_columns_prefer_more_lanes() -> None:
    assert preferred_lanes(1) == preferred_lanes(16) == 16
    assert preferred_lanes(256) == 8


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
    assert choice_of(setting(16, 16, 8, threads=8)).threads == 1


def test_large_work_uses_all_threads_with_equal_shares() -> None:
    case = setting(512, 512, 144, threads=2)
    tiling = lay_out(case, choice_of(case), groups(512, 512))
    assert tiling.choice.threads == 2
    assert len(tiling.tiles) * (len(tiling.chunks) - 1) % 2 == 0


def test_a_contiguous_panel_is_not_packed() -> None:
    assert choice_of(setting(64, 9000, 48)).direct


def test_an_x_that_lies_in_l2_is_not_packed() -> None:
    assert choice_of(setting(512, 512, 128)).direct
    assert not choice_of(setting(512, 512, 129)).direct
    assert not choice_of(setting(512, 512, 1024)).direct


def test_few_reads_of_a_large_x_are_streams() -> None:
    case = setting(8, 9000, 1024)
    few = lane_groups_of(M=8, K=9000, slots=4000)
    choice = model_choice(case, few)
    assert choice.streaming
    assert choice.direct
    assert not model_choice(case, lane_groups_of(M=8, K=9000, slots=5000)).streaming
    assert not model_choice(setting(8, 9000, 1023), few).streaming  # its last vector would be read beyond X


def lane_groups_of(M: int, K: int, slots: int) -> LaneGroups:
    values = np.ones((M, slots), np.float32)
    return replace(from_dense(values, 8, slots), shape=(M, K))


def test_column_blocks_are_never_packed_but_touched_where_x_leaves_l2() -> None:
    small, large = setting(512, 512, 129, layout="blocked"), setting(512, 512, 1024, layout="blocked")
    assert choice_of(small).direct
    assert not lay_out(small, choice_of(small), groups(512, 512)).touch
    assert lay_out(large, choice_of(large), groups(512, 512)).touch
