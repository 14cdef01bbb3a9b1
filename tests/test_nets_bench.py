"""Whole networks in the bench: op "network", from the problem's string to the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_pool import QUICK, run

from sparsebench import isa, nets, registry, suite
from sparsebench.bench.plan import Request, make_plan, set_roof
from sparsebench.bench.pool import Settings
from sparsebench.bench.roofline import Ceilings
from sparsebench.bench.verify import judge_of
from sparsebench.errors import InputError
from sparsebench.nets.operands import NetworkOperands
from sparsebench.operands import operands_of
from sparsebench.problem import Problem, columns
from sparsebench.report.network_table import network_tables
from sparsebench.report.table import make_tables
from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder
from sparsebench.suite import Group

MODES = ("net-dense", "net-sparse-dense", "net-sparse-sparse")
TINY = """
title = "A test"
input = [2, 10, 10]
[[layers]]
kind = "conv2d"
in_channels = 2
out_channels = 16
kernel = 3
pattern = { name = "complementary", lanes = 4 }
density = 0.25
[[layers]]
kind = "kwinners2d"
density = 0.25
[[layers]]
kind = "maxpool2d"
kernel = 2
[[layers]]
kind = "flatten"
[[layers]]
kind = "linear"
in_features = 256
out_features = 40
pattern = { name = "complementary", lanes = 4 }
density = 0.125
[[layers]]
kind = "relu"
[[layers]]
kind = "linear"
in_features = 40
out_features = 5
"""
SUITE = """
title = "A test"
threads = [1]
[[problems]]
op = "network"
networks = ["{net}"]
n = [1, 3]
[[published]]
network = "tiny"
what = "a board"
source = "a poster"
items_per_s = { net-dense = 1000, net-sparse-sparse = 50000 }
[[published]]
network = "another"
what = "unseen"
source = "a poster"
items_per_s = { net-dense = 1 }
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def write_suite(tmp_path: Path, net: str, *change: str) -> str:
    path = tmp_path / "words.toml"
    path.write_text(SUITE.replace(*change).replace("{net}", net) if change else SUITE.replace("{net}", net))
    return str(path)


def test_a_problem_survives_its_string(tiny: str) -> None:
    problem = Problem.of_network(tiny, 3, seed=4, weights="a;b=c.npz")
    assert str(problem) == f"network:{tiny}:3:f32;seed=4;weights=a;b=c.npz"
    assert Problem.parse(str(problem)) == problem
    assert (problem.x_shape, problem.y_shape, problem.shape) == ((3, 2, 10, 10), (3, 5), "tiny")
    assert (problem.M, problem.K, problem.N) == (5, 200, 3)
    described = columns(problem)
    assert (described["op"], described["pattern"], described["shape"]) == ("network", "stored", "tiny")
    # 288/4, 10,240/8 and 200 of 10,728 weights.
    assert problem.density == pytest.approx((72 + 1280 + 200) / 10_728)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("network:gsk:1:f32", "network 'gsk' is not known; did you mean 'gsc'?"),
        ("network:gsc:0:f32", "N is 0; it must be at least 1"),
        ("network:gsc:1:f64", "does not have the form network:name or file:batch:f32"),
        ("network:gsc:1:f32;cache=cold", "does not have the form network"),
        ("network:nowhere/net.toml:1:f32", "network file 'nowhere/net.toml' does not exist"),
    ],
)
def test_bad_strings(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        Problem.parse(text)
    assert says in str(caught.value)


def test_suites_name_networks(tmp_path: Path, tiny: str) -> None:
    plan = make_plan(Request((write_suite(tmp_path, tiny),)))
    assert [str(group.problem) for group in plan.groups] == [f"network:{tiny}:1:f32", f"network:{tiny}:3:f32"]
    assert {group.kernels for group in plan.groups} == {MODES}
    assert {group.baseline for group in plan.groups} == {"net-dense"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("n = [1, 3]", "n = 1\ndensity = 0.1"), "density is not for op 'network'"),
        (("n = [1, 3]", "n = 1\nshapes = [[4, 4]]"), "shapes is not for op 'network'"),
        (('networks = ["{net}"]', ""), "op 'network' needs networks"),
        (('op = "network"', ""), "networks is not for op 'matmul'"),
        (('op = "network"\nnetworks = ["{net}"]', "shapes = [[4, 4]]"), "op 'matmul' needs patterns"),
        (("n = [1, 3]", 'n = 1\nweights = { source = "w.npz" }'), "weights 'random' or the path of an .npz file"),
        (("items_per_s = { net-dense = 1 }", "items_per_s = {}"), "published[1].items_per_s"),
        (("items_per_s = { net-dense = 1 }", ""), "published[1].items_per_s: this key is missing"),
    ],
)
def test_bad_suites(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(InputError) as caught:
        suite.load(write_suite(tmp_path, "gsc", *change))
    assert says in str(caught.value)


@pytest.mark.parametrize("level", isa.available())
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_verified_stage_by_stage(tiny: str, mode: str, level: str) -> None:
    problem = Problem.of_network(tiny, 5)
    operands = operands_of(problem)
    kernel = registry.kernels("network", level)[mode]
    assert kernel.supports(problem) is None
    plan = kernel.prepare(problem, operands.weights, 2)
    judge = judge_of(operands)
    out = np.full(problem.y_shape, np.nan, np.float32)
    assert judge.judge(plan, out).status == "wrong"
    plan.run(operands.x, out)
    verdict = judge.judge(plan, out)
    assert (verdict.status, verdict.error) == ("ok", "")
    assert 0 < verdict.max_rel_error < 1e-6
    out[4, 2] += 1
    assert "y[4, 2]" in judge.judge(plan, out).error


def test_a_wrong_layer_is_named(tiny: str) -> None:
    problem = Problem.of_network(tiny, 2)
    right = operands_of(problem)
    assert isinstance(right, NetworkOperands)
    plan = right.weights.compile(2, "sparse-dense")
    # The reference now has another second layer than was compiled.
    arrays = right.weights.parameters
    arrays["linear1.weight"] = 1.001 * arrays["linear1.weight"]
    plan.network = right.weights.prune(arrays)
    out = plan.run(right.x)
    verdict = judge_of(right).judge(plan, out)
    assert verdict.status == "wrong"
    assert "layer linear1 + relu1" in verdict.error


def test_all_programs_choose_alike() -> None:
    """What one thread computes for an input, every thread does, to the last bit."""
    net = nets.load("gsc").initialize(seed=0)
    x = np.repeat(np.random.default_rng(0).standard_normal((1, 1, 32, 32), dtype=np.float32), 6, axis=0)
    out = net.compile(6, "sparse-sparse", 3).run(x)
    assert (out == out[0]).all()


def measured(tiny: str, batch: int) -> dict[str, CaseResult]:
    group = Group("words", Problem.of_network(tiny, batch), MODES, 1, isa.active(), "net-dense")
    (results,) = run([group], registry.all_kernels(), Settings(effort=QUICK))
    return results


def test_a_run_records_layers_and_rates(tmp_path: Path, tiny: str) -> None:
    results = [result for batch in (1, 3) for result in measured(tiny, batch).values()]
    for result in results:
        assert (result.status, result.error) == ("ok", "")
        assert (result.nnz, result.macs, result.dense_macs) == (1552, 72 * 64 + 1480, 288 * 64 + 10_440)
        assert result.items_per_s == pytest.approx(result.N / (result.median_s or 0))
        assert result.gflops_useful == pytest.approx(2e-9 * (result.macs or 0) * (result.items_per_s or 0))
        names = [name for layer in result.layers for name in layer["names"]]
        assert names == ["conv1", "kwinners1", "maxpool1", "flatten1", "linear1", "relu1", "linear2"]
        assert all(layer["seconds"] >= 0 and 0 < layer["reached"] <= 1 for layer in result.layers)
    folder = RunFolder.create(tmp_path / "run", {"suites": {"words": write_suite_text(tiny)}})
    folder.append(results)
    again = RunFolder.open(tmp_path / "run")
    assert [result.layers for result in again.results()] == [result.layers for result in results]
    frame = again.frame()
    assert json.loads(frame.layers[0]) == results[0].layers
    check_tables(again)


def write_suite_text(net: str) -> str:
    return SUITE.replace("{net}", net)


def check_tables(folder: RunFolder) -> None:
    from sparsebench.report.frame import combine

    frame = combine([folder])
    rates, first, last, summary = make_tables(frame)
    assert rates.title.startswith("words, network tiny")
    assert [row.labels for row in rates.rows] == [("1", "1"), ("1", "3"), ("published 1", "")]
    assert [cell.text for cell in rates.rows[2].cells] == ["1,000", "", "50,000", "", "50.0"]
    assert rates.notes[0] == "published 1: a board; a poster; not measured here"
    assert "unseen" not in str(rates)
    assert "batch 1, 1 thread" in first.title
    assert "batch 3, 1 thread" in last.title
    assert first.rows[-1].labels == ("all", "", "6,088")
    assert [row.labels[0] for row in first.rows][:2] == ["conv1 + kwinners1 + maxpool1", "linear1 + relu1"]
    assert summary.columns[0] == "stored"
    # Any other metric has the plain table.
    assert len(make_tables(frame, "items_per_s")) == 2


def test_a_network_that_failed_has_no_layers(tiny: str) -> None:
    record: dict[str, Any] = {
        "suite": "words", "shape": "tiny", "threads": 1, "N": 1, "level": "v3", "baseline": "net-dense",
        "provider": "sparsebench", "problem": "p", "status": "failed", "error": "prepare: no", "layers": None,
        "items_per_s": None,
    }  # fmt: skip
    (rates,) = network_tables([record | {"kernel": name} for name in MODES[:2]], [])
    assert [cell.text for cell in rates.rows[0].cells] == ["failed", "failed", "failed"]
    assert "failed: net-dense at batch 1: prepare: no" in rates.notes


def test_the_roof_counts_what_was_multiplied(tiny: str) -> None:
    results = measured(tiny, 1)
    slow = Ceilings(1e-3, dict.fromkeys(("L1d", "L2", "L3", "memory"), 1e12))
    caches = {"L1d": 48 << 10, "L2": 2 << 20, "L3": 32 << 20}
    for name, macs in (("net-dense", 288 * 64 + 10_440), ("net-sparse-dense", 72 * 64 + 1480)):
        set_roof(results[name], registry.kernels("network")[name], {(isa.active(), 1): slow}, dict(caches))
        assert results[name].roofline_s == pytest.approx(2 * macs / 1e6)
