"""A model timed beside the groups of its layers: when, and what the record has of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from model_files import INPUT, save_cnn
from runs import RUN

from sparsebench import isa
from sparsebench.bench import engine, engine_worker
from sparsebench.problem import Problem
from sparsebench.run_folder import RunFolder
from sparsebench.suite import Group


def group(threads: int) -> Group:
    problem = Problem.parse("matmul:8x8x1:unstructured+0.5:f32")
    return Group("m", problem, ("csr",), threads, isa.active(), "mkl-dense")


def test_the_engine_is_due_before_between_and_after_of_each_thread_count() -> None:
    groups = [group(1)] * 4 + [group(2)]
    done: list[Any] = []

    def measured() -> Iterator[Any]:
        for number in range(len(groups)):
            done.append(number)
            yield number
        done.append("the worker ends")

    found = list(engine.beside(groups, measured(), lambda which: done.append(f"T={which.threads}")))
    assert found == list(range(5))
    assert done == ["T=1", 0, 1, "T=1", 2, 3, "T=1", "T=2", 4, "the worker ends", "T=2"]


def test_a_run_without_a_model_has_none(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "r", RUN)
    assert engine.visit_of(folder, [0], lambda stage: nullcontext()) is None
    assert list(engine.beside([group(1)], iter([7]), None)) == [7]


def visit(folder: RunFolder) -> dict[str, Any]:
    found = engine.visit_of(folder, [0], lambda stage: nullcontext())
    assert found is not None
    found(group(1))
    found(group(1))
    record: dict[str, Any] = RunFolder.open(folder.path).run["model"]["engine"]
    return record


def test_a_real_model_is_timed_and_profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(engine, "SECONDS", 0.05)
    path = save_cnn(tmp_path / "net.onnx")
    request = {"path": str(path), "inputs": {name: list(shape) for name, shape in INPUT.items()}}
    record = visit(RunFolder.create(tmp_path / "r", RUN | {"model": {"engine": request}}))
    known = record["threads"]["1"]
    assert len(known["visits"]) == 2
    assert all(sample > 0 for samples in known["visits"] for sample in samples)
    operators = {node["operator"] for node in known["nodes"]}
    assert "Softmax" in operators
    assert any("Gemm" in operator for operator in operators)
    assert record["version"]


def test_a_model_that_the_engine_cannot_run_costs_the_engine_alone(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "net.onnx").write_bytes(b"no model")
    request = {"path": str(tmp_path / "net.onnx"), "inputs": {}}
    record = visit(RunFolder.create(tmp_path / "r", RUN | {"model": {"engine": request}}))
    assert record["missing"].startswith("ONNX Runtime cannot run the model: ")


def test_an_absent_engine_is_not_asked(tmp_path: Path) -> None:
    record = visit(RunFolder.create(tmp_path / "r", RUN | {"model": {"engine": {"missing": "no"}}}))
    assert record == {"missing": "no"}


def test_nodes_of_a_profile() -> None:
    args = {"op_name": "Conv", "input_type_shape": [{"float": [1, 2]}], "output_type_shape": [{"float": [1, 3]}]}
    events = [
        {"cat": "Session", "name": "model_run", "dur": 99},
        {"cat": "Node", "name": "c_fence_before", "dur": 9, "args": args},
        *({"cat": "Node", "name": "c_kernel_time", "dur": dur, "args": args} for dur in (5, 100, 6)),
    ]
    (node,) = engine_worker.nodes_of(events)
    assert node == {
        "name": "c", "operator": "Conv", "inputs": [[1, 2]], "outputs": [[1, 3]], "seconds": pytest.approx(6e-6),
    }  # fmt: skip
    json.dumps(node)


def test_inputs_of_every_type() -> None:
    class Entry:
        def __init__(self, name: str, kind: str) -> None:
            self.name, self.type = name, kind

    made = engine_worker.make_inputs(
        [Entry("x", "tensor(float)"), Entry("ids", "tensor(int64)")], {"x": [2, 3], "ids": [4]}
    )
    assert (made["x"].dtype, made["x"].shape) == ("float32", (2, 3))
    assert made["ids"].tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="input 's' is tensor"):
        engine_worker.make_inputs([Entry("s", "tensor(string)")], {"s": [1]})
