"""What is planned for a model: which problems, which kernels, what the record says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import INPUT, save_cnn

from sparsebench.bench import engine
from sparsebench.bench.plan import Request
from sparsebench.errors import InputError
from sparsebench.models import Model, load
from sparsebench.models.problems import combinations
from sparsebench.models.what_if import WhatIf, columns_of, estimate_s, what_if


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load(str(save_cnn(tmp_path / "net.onnx")), INPUT)


def planned(model: Model, labels: list[str], densities: list[float], **request: Any) -> WhatIf:
    return what_if(model, model.layers, combinations(labels, densities), Request(**request))


def test_every_distinct_layer_is_a_group_in_every_combination_it_can_have(model: Model) -> None:
    found = planned(model, ["complementary/8", "unstructured"], [0.25, 0.1])
    shapes = {shape["layers"][0]: shape for shape in found.record["shapes"]}
    assert set(shapes) == {"stem", "depthwise", "point1", "fc", "head"}
    assert shapes["point1"]["layers"] == ["point1", "point2"]
    assert shapes["stem"]["uneven_padding"] and not shapes["depthwise"]["uneven_padding"]
    assert len(shapes["point1"]["problems"]) == 4
    # 9 weights of a row, a tenth of which is less than one.
    assert set(shapes["depthwise"]["problems"]) <= {"complementary/8+0.75", "unstructured+0.75"}
    assert "less than one would be kept" in shapes["depthwise"]["reasons"]["unstructured+0.9"]
    problems = {str(group.problem) for group in found.plan.groups}
    assert problems == {text for shape in shapes.values() for text in shape["problems"].values()}
    assert {group.suite for group in found.plan.groups} == {found.plan.name} == {"model-net"}
    assert estimate_s(found.plan) > 0


def test_kernels_that_cannot_are_left_out_and_absent_ones_are_not(model: Model) -> None:
    found = planned(model, ["unstructured"], [0.5])
    for group in found.plan.groups:
        known = found.plan.kernels[group.problem.op]
        assert "complementary" not in group.kernels
        assert {"csr", "dense"} <= set(group.kernels)
        assert all(known[name].missing or known[name].supports(group.problem) is None for name in group.kernels)


def test_thread_counts_come_one_after_the_other(model: Model) -> None:
    found = planned(model, ["unstructured"], [0.5, 0.25], threads=(1, "all"))
    threads = [group.threads for group in found.plan.groups]
    assert threads == sorted(threads)


def test_kernels_are_chosen_over_all_ops(model: Model) -> None:
    found = planned(model, ["complementary/8"], [0.25], kernels=("complementary", "numpy-dense"))
    kernels = {group.problem.op: set(group.kernels) for group in found.plan.groups}
    assert {"complementary", "numpy-dense"} <= kernels["matmul"] <= {"complementary", "numpy-dense", "mkl-dense"}
    assert "complementary" in kernels["conv2d"]
    with pytest.raises(InputError, match="kernel 'complementry' is none for the model's layers; nearest"):
        planned(model, ["complementary/8"], [0.25], kernels=("complementry",))


def test_a_combination_that_no_kernel_takes_has_a_reason(model: Model) -> None:
    found = planned(model, ["complementary/8", "block/4x4"], [0.25], kernels=("complementary", "dense"))
    reasons = [shape["reasons"]["block/4x4+0.75"] for shape in found.record["shapes"]]
    assert set(reasons) == {"no sparse kernel that was asked for takes it"}
    with pytest.raises(InputError, match="no layer of the model can be measured: block/4x4"):
        planned(model, ["block/4x4"], [0.25], kernels=("complementary", "dense"))


def test_nothing_possible_is_an_error(model: Model) -> None:
    with pytest.raises(InputError, match=r"complementary/8\+0\.7: density 0\.3 would overlay"):
        planned(model, ["complementary/8"], [0.3])


def test_layers_left_out_are_named(model: Model) -> None:
    some = [layer for layer in model.layers if layer.op == "matmul"]
    found = what_if(model, some, combinations(["unstructured"], [0.5]), Request())
    assert found.record["left_out"] == ["stem", "depthwise", "point1", "point2"]


def test_what_the_engine_is_asked(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: object())
    request = planned(model, ["unstructured"], [0.5]).record["engine"]
    assert request == {"path": str(tmp_path / "net.onnx"), "inputs": {"x": [1, 3, 16, 16]}}
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    missing = planned(model, ["unstructured"], [0.5]).record["engine"]["missing"]
    assert missing == "ONNX Runtime is not installed: pip install onnxruntime"


def test_files_without_a_graph_have_the_n_that_is_given(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {"fc": np.ones((32, 16), np.float32), "conv": np.ones((4, 2, 3, 3), np.float32)}
    safetensors.save_file(arrays, tmp_path / "net.safetensors")
    model = load(str(tmp_path / "net.safetensors"))
    layers = [columns_of(layer, 7) for layer in model.layers]
    found = what_if(model, layers, combinations(["unstructured"], [0.5]), Request())
    assert [group.problem.N for group in found.plan.groups] == [7]
    reasons = {shape["layers"][0]: shape["reasons"] for shape in found.record["shapes"]}
    assert reasons == {"fc": {}, "conv": {"unstructured+0.5": "its N is not known"}}
    assert found.record["left_out"] == []
    assert "runs no .safetensors file" in found.record["engine"]["missing"]
