"""Patterns in .smtx, and the values that are dealt to a pattern."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparsebench import weights
from sparsebench.errors import InputError
from sparsebench.patterns import Unstructured
from sparsebench.weights import dealing
from sparsebench.weights.dealing import deal_values

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))


def smtx(mask: np.ndarray) -> str:
    pointers = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    lines = [f"{mask.shape[0]}, {mask.shape[1]}, {mask.sum()}"]
    lines += [" ".join(map(str, numbers)) for numbers in (pointers, np.nonzero(mask)[1])]
    return "\n".join(lines) + "\n"


@given(mask=MASKS, ending=st.sampled_from(["\n", "\r\n"]), seed=st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_the_pattern_is_read_as_it_was_written(
    mask: np.ndarray, ending: str, seed: int, tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.mktemp("w") / "layer.smtx"
    path.write_text(smtx(mask), newline=ending)
    (ref,) = weights.expand(str(path))
    assert (ref.name, ref.rows, ref.cols, ref.stored_density) == ("layer", *mask.shape, mask.sum() / mask.size)
    matrix = weights.read(str(path), seed=seed)
    np.testing.assert_array_equal(matrix.stored, mask)
    assert matrix.values.dtype == np.float32
    assert matrix.values.shape == mask.shape


@given(mask=MASKS, seed=st.integers(0, 2**40))
@settings(max_examples=100, deadline=None)
def test_magnitude_pruning_of_the_dealt_values_gives_the_pattern_again(mask: np.ndarray, seed: int):
    values = deal_values(mask, seed)
    magnitude = np.abs(values)
    assert magnitude[mask].min(initial=np.inf) > magnitude[~mask].max(initial=0)
    assert np.count_nonzero(values[mask]) == mask.sum()
    if mask.any():
        pruned = Unstructured().prune(values, mask.mean())
        np.testing.assert_array_equal(pruned.allowed, mask)


def test_dealt_values_are_standard_normal():
    mask = np.random.default_rng(5).random((300, 400)) < 0.1
    values = deal_values(mask, 0)
    assert abs(values.mean()) < 0.02
    assert values.std() == pytest.approx(1, abs=0.02)
    assert (values[mask] > 0).mean() == pytest.approx(0.5, abs=0.03)
    # The cut lies where the normal distribution leaves a tenth outside.
    assert np.abs(values[mask]).min() == pytest.approx(1.645, abs=0.03)


@pytest.mark.parametrize("drawn", [1.0, -1.0, 0.0])
def test_equal_magnitudes_are_set_apart(drawn: float, monkeypatch: pytest.MonkeyPatch):
    class Constant:
        def standard_normal(self, size: int, dtype: type) -> np.ndarray:
            return np.full(size, drawn, dtype)

    monkeypatch.setattr(dealing.np.random, "default_rng", lambda seed: Constant())
    mask = np.array([[False, False, True], [True, False, True]])
    magnitude = np.abs(deal_values(mask, 0))
    assert magnitude[mask].min() > magnitude[~mask].max()
    assert magnitude[mask].max() == pytest.approx(abs(drawn), abs=1e-6)


def test_values_follow_seed_and_pattern_and_not_the_name(tmp_path: Path):
    mask = np.random.default_rng(1).random((9, 11)) < 0.3
    other = mask[::-1].copy()
    for name, pattern in (("a", mask), ("b", mask), ("c", other)):
        (tmp_path / f"{name}.smtx").write_text(smtx(pattern))
    a, b, c = (weights.read(str(tmp_path / f"{name}.smtx")).values for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(np.sort(a, axis=None), np.sort(c, axis=None))
    assert not np.array_equal(a, weights.read(str(tmp_path / "a.smtx"), seed=1).values)


def test_values_are_the_same_in_another_process(tmp_path: Path):
    path = tmp_path / "w.smtx"
    path.write_text(smtx(np.eye(6, 5, dtype=bool)))
    script = (
        "import sys; from sparsebench import weights; print(weights.read(sys.argv[1], seed=3).values.tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[1])  # fmt: skip
    assert done.stdout.strip() == weights.read(str(path), seed=3).values.tobytes().hex()


def test_a_pattern_without_non_zeros_is_a_pattern(tmp_path: Path):
    (tmp_path / "w.smtx").write_text("2, 2, 0\n0 0 0")
    matrix = weights.read(str(tmp_path / "w.smtx"))
    assert matrix.stored is not None
    assert not matrix.stored.any()


def test_blank_lines_at_the_end_are_allowed(tmp_path: Path):
    (tmp_path / "w.smtx").write_text("1, 2, 1\n0 1\n1\n\n  \n")
    assert weights.read(str(tmp_path / "w.smtx")).values.shape == (1, 2)


@pytest.mark.parametrize("text", ["", "\n", "2 3 2\n", "rows, cols, nnz\n", "2, 3\n", "-2, 3, 2\n", "2, 3, 2.0\n",
                                  "2, 3, 2, 1\n", "1" * 30 + ", 3, 2\n", "\u00e9\n"])  # fmt: skip
def test_a_first_line_that_is_no_header_is_refused(text: str, tmp_path: Path):
    (tmp_path / "w.smtx").write_text(text + "0 1 2\n0 2\n", encoding="utf-8")
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=r"w\.smtx, line 1: .* is not 'rows, cols, nnz'"):
            act(str(tmp_path / "w.smtx"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0, 3, 0\n0\n\n", r"line 1: the matrix is empty \(0 x 3\)"),
        ("3, 0, 0\n0 0 0 0\n\n", r"line 1: the matrix is empty \(3 x 0\)"),
        ("2, 3, 7\n0 3 7\n0 1 2 0 1 2 0\n", "line 1: nnz is 7, and 2 x 3 has 6 positions"),
    ],
)
def test_sizes_that_cannot_be_are_refused(text: str, message: str, tmp_path: Path):
    (tmp_path / "w.smtx").write_text(text)
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=message):
            act(str(tmp_path / "w.smtx"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2, 3, 2\n", "line 2: 0 numbers where 3 belong: row pointers"),
        ("2, 3, 2\n0 1\n0 2\n", "line 2: 2 numbers where 3 belong: row pointers"),
        ("2, 3, 2\n0 1 1 2\n0 2\n", "line 2: 4 numbers where 3 belong"),
        ("2, 3, 2\n0 1 2\n", "line 3: 0 numbers where 2 belong: column indices"),
        ("2, 3, 2\n0 1 2\n0\n", "line 3: 1 numbers where 2 belong"),
        ("2, 3, 2\n0 1 2\n0 2 1\n", "line 3: 3 numbers where 2 belong"),
        ("2, 3, 2\n0 1 2\n0 -1\n", r"line 3: column index -1 \(the 2\. of the line\) is not in 0 \.\. 2"),
        ("2, 3, 2\n0 1 2\n3 0\n", r"line 3: column index 3 \(the 1\. of the line\) is not in 0 \.\. 2"),
        ("2, 3, 2\n0 2 2\n1 1\n", "line 3: column 1 is there twice in row 0"),
        ("2, 3, 2\n1 1 2\n0 2\n", "line 2: row pointers go from 1 to 2; they must go from 0 to nnz = 2"),
        ("2, 3, 2\n0 1 1\n0 2\n", "line 2: row pointers go from 0 to 1; they must"),
        ("3, 3, 2\n0 2 1 2\n0 2\n", "line 2: row pointers fall from 2 to 1 in row 1"),
        ("2, 3, 2\n0 one 2\n0 2\n", "line 2: 'one' is not a whole number; the line holds row pointers"),
        ("2, 3, 2\n0 1 2\n0 2.0\n", r"line 3: '2\.0' is not a whole number"),
        ("2, 3, 2\n0 1 2\n0 2-1\n", "line 3: '2-1' is not a whole number"),
        ("2, 3, 2\n0,1,2\n0 2\n", "line 2: '0,1,2' is not a whole number"),
        (f"2, 3, 2\n0 1 2\n0 {'9' * 60}\n", r"line 3: '9{40}\.\.\.' is not a whole number"),
        ("2, 3, 2\n0 1 2\n0 2\n1.0 2.0\n", r"line 4: found '1\.0 2\.0' after the column indices"),
        ("1000000000, 1000000000, 1\n0 1\n0\n", "GiB of memory"),
    ],
)
def test_each_way_to_be_malformed_is_told_with_its_line(text: str, message: str, tmp_path: Path):
    (tmp_path / "w.smtx").write_text(text)
    with pytest.raises(InputError, match=message):
        weights.read(str(tmp_path / "w.smtx"))
