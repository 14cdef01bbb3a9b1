from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.layouts import LINE, WIDEST, Layout, arrange, column_blocks, flat, restore, shape_of


@given(st.integers(1, 5000))
def test_column_blocks_are_whole_lines_and_even(N: int) -> None:
    blocks = column_blocks(N)
    assert 0 <= sum(blocks) - N < LINE
    assert all(width % LINE == 0 and width <= WIDEST for width in blocks)
    assert max(blocks) - min(blocks) <= LINE


@given(st.integers(1, 20), st.integers(1, 200), st.sampled_from(["row", "column", "blocked"]))
def test_a_layout_loses_nothing(rows: int, N: int, layout: Layout) -> None:
    matrix = np.random.default_rng(0).standard_normal((rows, N), dtype=np.float32)
    array = arrange(matrix, layout)
    assert array.shape == shape_of(rows, N, layout)
    assert array.sum() == pytest.approx(matrix.sum(), abs=1e-3)  # padding is zero
    assert np.array_equal(restore(array, rows, N, layout), matrix)


def test_a_block_is_contiguous_and_row_major() -> None:
    matrix = np.arange(3 * 80, dtype=np.float32).reshape(3, 80)
    assert column_blocks(80) == (48, 32)
    blocked = arrange(matrix, "blocked")
    assert np.array_equal(blocked[: 3 * 48].reshape(3, 48), matrix[:, :48])
    assert np.array_equal(blocked[3 * 48 :].reshape(3, 32), matrix[:, 48:])


def test_an_operand_of_another_form_is_refused() -> None:
    good = np.zeros((4, 6), np.float32)
    assert flat("x", good, (4, 6)).shape == (24,)
    with pytest.raises(ValueError, match="x is 4 x 6; the plan is for 6 x 4"):
        flat("x", good, (6, 4))
    with pytest.raises(ValueError, match="C-ordered float32"):
        flat("x", good.astype(np.float64), (4, 6))
    with pytest.raises(ValueError, match="C-ordered float32"):
        flat("x", np.zeros((6, 4), np.float32).T, (4, 6))
