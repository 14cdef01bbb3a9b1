"""Layers among an engine's nodes: fused, renamed, rounded up to blocks of channels."""

from __future__ import annotations

from typing import Any

import pytest

from sparsebench.models.engine_share import is_of, share


def conv(sizes: list[int], at: list[int], to: list[int], groups: int = 1, layers: int = 1) -> dict[str, Any]:
    return {
        "layers": ["layer"] * layers, "op": "conv2d", "sizes": sizes, "columns": 1, "groups": groups, "input": at,
        "output": to,
    }  # fmt: skip


def product(M: int, K: int, N: int, layers: int = 1) -> dict[str, Any]:
    return {"layers": ["layer"] * layers, "op": "matmul", "sizes": [M, K], "columns": N, "groups": 1}


def node(operator: str, inputs: list[list[int]], out: list[int], seconds: float = 1.0) -> dict[str, Any]:
    return {"operator": operator, "inputs": inputs, "outputs": [out], "seconds": seconds}


@pytest.mark.parametrize("operator", ["Conv", "FusedConv"])
def test_a_convolution_in_blocks_of_channels(operator: str) -> None:
    # 88 filters of 22 channels are 96 of 22 in blocks of 16.
    found = node(operator, [[1, 22, 1, 1], [96, 22, 1, 1], [96]], [1, 96, 1, 1])
    assert is_of(found, conv([88, 22, 1, 1], [1, 1], [1, 1]))
    assert not is_of(found, conv([88, 22, 1, 1], [2, 2], [2, 2]))
    assert not is_of(found, conv([60, 22, 1, 1], [1, 1], [1, 1]))
    assert not is_of(found, conv([88, 22, 3, 3], [1, 1], [1, 1]))
    assert not is_of(node("ConvTranspose", found["inputs"], [1, 96, 1, 1]), conv([88, 22, 1, 1], [1, 1], [1, 1]))


def test_packed_weights_are_not_among_the_inputs() -> None:
    assert is_of(node("MatMul", [[1, 128, 384]], [1, 128, 1536]), product(1536, 384, 128))
    assert is_of(node("Gemm", [[4, 200], [2]], [4, 2]), product(2, 200, 4))
    assert is_of(node("Gemm", [[4, 200], [200, 2], [2]], [4, 2]), product(2, 200, 4))
    assert is_of(node("FusedConv", [[1, 22, 5, 5]], [1, 88, 5, 5]), conv([88, 22, 1, 1], [5, 5], [5, 5]))


def test_activations_by_activations_are_no_layer() -> None:
    attention = node("FusedMatMul", [[1, 12, 128, 32], [1, 12, 32, 128]], [1, 12, 128, 128])
    assert not is_of(attention, product(128, 32, 12 * 128))


def test_a_one_dimensional_convolution_has_one_row() -> None:
    found = node("Conv", [[1, 8, 50], [16, 8, 3], [16]], [1, 16, 48])
    assert is_of(found, conv([16, 8, 1, 3], [1, 50], [1, 48]))


def test_shares_add_up_and_others_are_named() -> None:
    shapes = [
        product(384, 384, 128, layers=2),
        conv([24, 8, 1, 1], [6, 6], [6, 6]),
        conv([32, 8, 1, 1], [6, 6], [6, 6]),
    ]
    rounded = [[1, 8, 6, 6], [32, 8, 1, 1]]
    found = share(
        [
            node("MatMul", [[1, 128, 384]], [1, 128, 384], 3.0),
            node("MatMul", [[1, 128, 384]], [1, 128, 384], 1.0),
            node("Conv", rounded, [1, 32, 6, 6], 2.0),
            node("Conv", rounded, [1, 32, 6, 6], 1.0),
            node("Softmax", [[1, 128]], [1, 128], 1.0),
            node("Add", [[1], [1]], [1], 2.0),
        ],
        shapes,
        range(3),
    )
    assert found.layers == {0: pytest.approx(0.4), 2: pytest.approx(0.2), 1: pytest.approx(0.1)}
    assert found.nodes == {0: 2, 2: 1, 1: 1}
    assert found.others == {"Add": pytest.approx(0.2), "Softmax": pytest.approx(0.1)}
    assert found.measured + sum(found.others.values()) == pytest.approx(1)


def test_layers_that_are_left_out_belong_to_the_rest() -> None:
    # Of three products alike, two are measured; of two shapes that a block makes alike, one is.
    shapes = [
        product(384, 384, 128, layers=2),
        conv([24, 8, 1, 1], [6, 6], [6, 6]),
        conv([32, 8, 1, 1], [6, 6], [6, 6]),
    ]
    products = [node("MatMul", [[1, 128, 384]], [1, 128, 384]) for _ in range(3)]
    convolutions = [node("Conv", [[1, 8, 6, 6], [32, 8, 1, 1]], [1, 32, 6, 6]) for _ in range(2)]
    found = share([*products, *convolutions], shapes, {0, 1})
    assert found.layers == {0: pytest.approx(0.4), 1: pytest.approx(0.2)} and found.nodes == {0: 2, 1: 1}
    assert found.others == {"MatMul": pytest.approx(0.2), "Conv": pytest.approx(0.2)}
