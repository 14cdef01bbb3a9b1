"""What a model would gain, from runs whose times are known."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import save
from onnx import helper
from runs import make_run
from typer.testing import CliRunner

from sparsebench.cli.app import app
from sparsebench.errors import InputError
from sparsebench.models import load
from sparsebench.models.what_if import engine_request
from sparsebench.problem import Problem
from sparsebench.registry import all_kernels
from sparsebench.report import what_if_table
from sparsebench.report.cells import shortened
from sparsebench.report.what_if import BEST, Setting, find
from sparsebench.report.what_if_notes import NAME_WIDTH
from sparsebench.results import CaseResult, blank_result
from sparsebench.suite import Group

COMPLEMENTARY, UNSTRUCTURED = "complementary/8+0.95", "unstructured+0.95"
COMBINATIONS = [
    {"label": COMPLEMENTARY, "pattern": "complementary/8", "density": 0.05},
    {"label": UNSTRUCTURED, "pattern": "unstructured", "density": 0.05},
]
# Seconds of (numpy-dense, dense, sparse), by shape and combination: 2 layers of "big", one of "small".
TIMES = {
    ("big", COMPLEMENTARY): (5e-3, 4e-3, 0.4e-3),
    ("big", UNSTRUCTURED): (5e-3, 4e-3, 0.8e-3),
    ("small", UNSTRUCTURED): (3e-3, 2e-3, 3e-3),
}
SIZES = {"big": (1024, 512, 8), "small": (256, 512, 8)}


def problem(name: str, label: str) -> str:
    return f"matmul:{'x'.join(map(str, SIZES[name]))}:{label}:f32;weights=net.onnx!{name}"


def shape(name: str, layers: list[str], reasons: dict[str, str]) -> dict[str, Any]:
    labels = [label for own, label in TIMES if own == name]
    M, K, N = SIZES[name]
    return {
        "layers": layers,
        "operator": "MatMul",
        "op": "matmul",
        "text": f"{M}x{K}",
        "sizes": [M, K],
        "columns": N,
        "groups": 1,
        "input": None,
        "output": None,
        "macs": M * K * N,
        "uneven_padding": False,
        "problems": {label: problem(name, label) for label in labels},
        "reasons": reasons,
    }


def node(operator: str, M: int, K: int, seconds: float) -> dict[str, Any]:
    return {"operator": operator, "inputs": [[8, K]], "outputs": [[8, M]], "seconds": seconds}


def record(engine: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": {
            "address": "models/net.onnx",
            "format": "onnx",
            "inputs": ["x 8x512"],
            "combinations": COMBINATIONS,
            "shapes": [
                shape("big", ["layer.0/attention/self/query", "layer.1/attention/self/query"], {}),
                shape("small", ["small"], {COMPLEMENTARY: "it is too small"}),
                {**shape("small", ["gone"], {COMPLEMENTARY: "no", UNSTRUCTURED: "no"}), "problems": {}},
            ],
            "left_out": ["head"],
            "skipped": {"ConvTranspose": 2},
            "notes": [],
            "engine": engine,
        }
    }


def engine(whole_s: float, layers_s: float) -> dict[str, Any]:
    """An engine that spends so much of its time in the layers, and the rest in Softmax."""
    nodes = [node("MatMul", 1024, 512, 0.4 * layers_s), node("MatMul", 1024, 512, 0.4 * layers_s)]
    nodes += [node("MatMul", 256, 512, 0.2 * layers_s), node("Softmax", 8, 8, whole_s - layers_s)]
    visits = [[whole_s] * 5] * 3
    return {"path": "net.onnx", "inputs": {}, "version": "1.0", "threads": {"1": {"visits": visits, "nodes": nodes}}}


def cases() -> list[CaseResult]:
    known, made = all_kernels()["matmul"], []
    for number, ((name, label), times) in enumerate(TIMES.items()):
        sparse = "complementary" if label == COMPLEMENTARY else "csr"
        group = Group("model-net", Problem.parse(problem(name, label)), (), 1, "v3", "numpy-dense")
        for kernel, seconds in zip(("numpy-dense", "dense", sparse), times, strict=True):
            case = blank_result(group, known[kernel], "ok", group_id=f"g{number}")
            # Rounds that are slower or faster for all kernels alike.
            case.samples_s = [seconds * slow for slow in (1.0, 1.1, 0.9, 1.2, 1.0, 1.0, 1.0)]
            case.median_s, case.nnz, case.kept_l1, case.kept_l2 = seconds, 1000, 0.3, 0.25
            made.append(case)
    return made


def setting(engine: dict[str, Any]) -> Setting:
    (found,) = find(record(engine), cases())
    return found


def text(form: str, engine: dict[str, Any]) -> str:
    stream = io.StringIO()
    what_if_table.write(form, record(engine), find(record(engine), cases()), stream)
    return stream.getvalue()


def test_layers_are_compared_with_the_fastest_dense_kernel() -> None:
    big, small = setting({"missing": "no"}).shapes
    assert (big.uses, big.dense, float(big.dense_s[0])) == (2, "dense", pytest.approx(4e-3))
    assert float(big.choices[COMPLEMENTARY].speedup[0]) == pytest.approx(10)
    assert big.choices[UNSTRUCTURED].case.kernel == "csr"
    assert float(small.choices[UNSTRUCTURED].speedup[0]) == pytest.approx(2 / 3)
    assert small.reasons == {COMPLEMENTARY: "it is too small"}


def test_the_whole_model() -> None:
    # 10 ms of layers of 12 ms; Amdahl over those and the 2 ms of Softmax.
    found = setting(engine(12e-3, 10e-3))
    complementary, unstructured, best = found.wholes
    assert complementary.gain.before_s.estimate == pytest.approx(10e-3)
    # The small layer cannot be complementary, and is slower unstructured: it stays dense.
    assert complementary.gain.after_s.estimate == pytest.approx(2 * 0.4e-3 + 2e-3)
    assert complementary.gain.amdahl is not None
    assert complementary.gain.amdahl.estimate == pytest.approx(12 / 4.8)
    assert unstructured.gain.after_s.estimate == pytest.approx(2 * 0.8e-3 + 2e-3)
    assert (complementary.sparse, found.layers) == (2, 3)
    assert (best.pattern, best.gain) == (BEST, complementary.gain)
    assert complementary.kept_l2 == pytest.approx(0.25)
    assert found.explained == pytest.approx(10 / 12)
    assert found.shapes[0].engine_s == pytest.approx(4e-3)


def test_without_an_engine_only_the_layers_are_told() -> None:
    found = setting({"missing": "ONNX Runtime is not installed: pip install onnxruntime"})
    assert found.engine is None and found.explained is None
    assert found.wholes[0].gain.amdahl is None
    shown = text("console", {"missing": "ONNX Runtime is not installed: pip install onnxruntime"})
    assert "pip install onnxruntime" in " ".join(shown.split())
    assert "Amdahl" not in shown


def test_what_is_missing_is_told_where_layers_explain_too_little() -> None:
    near = " ".join(text("console", engine(12e-3, 10e-3)).split())
    assert "take 10.0 ms, 83% of the engine's 12.0 ms; its profile gives them 83%" in near
    assert "not measured: Softmax" not in near
    far = " ".join(text("console", engine(20e-3, 8e-3)).split())
    assert "50% of the engine's 20.0 ms; its profile gives them 40%; not measured: Softmax 60%" in far


def test_an_engine_that_is_faster_at_the_layers_is_told() -> None:
    shown = " ".join(text("console", engine(6e-3, 5e-3)).split())
    assert "167% of the engine's 6.00 ms; its profile gives them 83%: it is faster at them" in shown
    assert "layers that differ most: layer.0/at…/self/query 4.00 ms here, 2.00 ms there" in shown


@pytest.mark.parametrize("columns", ["80", "140"])
def test_tables_fit_and_name_what_was_not_measured(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = text("console", engine(12e-3, 10e-3))
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= int(columns)
    joined = " ".join(shown.split())
    assert "layer.0/at…/self/query x2" in joined
    assert "-: complementary/8, 1 layer: it is too small; dense in the whole model" in joined
    assert "not measured, 1 layer, first gone (256x512): no" in joined
    assert "left out by --layers or --skip: 1 layer" in joined
    assert "ConvTranspose 2" in joined
    assert "12.0 ms in ONNX Runtime 1.0" in joined


def test_markdown_is_a_table() -> None:
    lines = text("markdown", engine(12e-3, 10e-3)).splitlines()
    assert any(line.startswith("| layer.0/at…/self/query x2 | 1024x512 N=8 | 4.00 ms dense |") for line in lines)


def test_csv_has_a_row_for_each_shape_and_combination() -> None:
    rows = list(csv.DictReader(io.StringIO(text("csv", engine(12e-3, 10e-3)))))
    assert len(rows) == 4
    assert rows[0]["layers"] == "layer.0/attention/self/query;layer.1/attention/self/query"
    assert (rows[0]["pattern"], rows[0]["sparsity"], rows[0]["kernel"]) == ("complementary/8", "0.95", "complementary")
    assert float(rows[0]["speedup"]) == pytest.approx(10)
    assert float(rows[0]["density_reached"]) == pytest.approx(1000 / (1024 * 512))
    assert (rows[2]["kernel"], rows[2]["reason"]) == ("", "it is too small")


def test_json_has_the_whole_model() -> None:
    found = json.loads(text("json", engine(12e-3, 10e-3)))
    (setting,) = found["settings"]
    assert setting["engine"]["other_shares"] == {"Softmax": pytest.approx(1 / 6)}
    low, estimate, high = setting["wholes"][0]["amdahl"]
    assert low <= estimate <= high
    assert estimate == pytest.approx(2.5)
    assert len(found["rows"]) == 4


def test_an_unfinished_run_shows_what_it_has() -> None:
    some = [case for case in cases() if case.group != "g1"]
    (found,) = find(record({"missing": "no"}), some)
    assert found.shapes[0].reasons == {UNSTRUCTURED: "not measured yet"}
    with pytest.raises(InputError, match="no layer of the model has been measured"):
        find(record({"missing": "no"}), [])


def test_a_wrong_result_is_a_reason_and_no_time() -> None:
    changed = cases()
    changed[2].status, changed[2].error = "wrong", "off"
    (found,) = find(record({"missing": "no"}), changed)
    assert found.shapes[0].reasons == {COMPLEMENTARY: "complementary: wrong"}
    assert found.wholes[0].sparse == 0


def test_report_shows_it_again(tmp_path: Path) -> None:
    make_run(tmp_path / "r", cases(), **record(engine(12e-3, 10e-3)))
    make_run(tmp_path / "plain", cases())
    shown = CliRunner().invoke(app, ["report", str(tmp_path / "r"), "--what-if", "--format", "csv"])
    assert shown.exit_code == 0
    assert len(shown.stdout.splitlines()) == 5
    for arguments, says in (
        (["plain"], "the run is not of a model"),
        (["r", "--format", "html"], "--what-if is for --format console"),
        (["r", "plain"], "--what-if is of one run"),
    ):
        paths = [str(tmp_path / word) if word in ("r", "plain") else word for word in arguments]
        failed = CliRunner().invoke(app, ["report", *paths, "--what-if"])
        assert isinstance(failed.exception, InputError)
        assert says in str(failed.exception)


def test_long_names_keep_both_ends() -> None:
    assert shortened("layer.10/attention/self/query", NAME_WIDTH) == "layer.10/a…/self/query"
    assert shortened("short", NAME_WIDTH) == "short"
    assert all(len(shortened("x" * 40, width)) == width for width in range(3, 40))


def test_layers_that_are_no_nodes_of_the_engine_are_counted() -> None:
    fused = engine(12e-3, 10e-3)
    del fused["threads"]["1"]["nodes"][1]
    (found,) = find(record(fused), cases())
    assert [shape.engine_nodes for shape in found.shapes] == [1, 1]
    assert "1 of 3 measured layers are no nodes of their own in it" in " ".join(text("console", fused).split())
    assert "count twice" not in text("console", engine(12e-3, 10e-3))


def test_an_engine_is_not_compared_at_another_batch(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")]
    path = save(tmp_path / "net.onnx", nodes, {"w": np.ones((16, 8), np.float32)}, [4, 16])
    assert "1/2 of the one its layers are measured at" in engine_request(load(str(path), batch=8))["missing"]
