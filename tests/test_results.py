from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from sparsebench.results import COLUMNS, STATUSES, CaseResult

# What the project promises its users to find in results.csv.
PROMISED = """suite, problem, op, pattern, overlay, lanes, block, density, nnz, act_density, M, K, N, kernel, provider,
level, threads, cache, timed_in, status, error, median_s, ci_low_s, ci_high_s, rounds, prepare_s, packed_bytes,
gflops_useful, gflops_dense, baseline, speedup, speedup_ci_low, speedup_ci_high, max_rel_error"""

MEASURED = CaseResult(
    suite="smoke",
    problem="matmul:100x200x10:unstructured+0.95:f32",
    op="matmul",
    pattern="unstructured",
    overlay=None,
    lanes=None,
    block=None,
    weights="random",
    density=0.05,
    nnz=1000,
    act_density=1.0,
    M=100,
    K=200,
    N=10,
    kernel="csr",
    provider="sparsebench",
    level="v4",
    threads=1,
    cache="warm",
    timed_in="native",
    status="ok",
    group="abc",
    baseline="mkl-dense",
    median_s=1e-6,
    samples_s=[1e-6, 1.1e-6, 0.9e-6],
)


def test_promised_columns_are_there_once() -> None:
    promised = {name.strip() for name in PROMISED.replace("\n", " ").split(",")}
    assert promised <= set(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_rates_of_a_measured_case() -> None:
    assert MEASURED.gflops_useful == pytest.approx(2 * 1000 * 10 / 1e-6 / 1e9)
    assert MEASURED.gflops_dense == pytest.approx(2 * 100 * 200 * 10 / 1e-6 / 1e9)
    assert replace(MEASURED, nnz=None).gflops_useful is None


@pytest.mark.parametrize("status", [s for s in STATUSES if s not in ("ok", "mistrusted")])
def test_a_case_that_is_not_right_has_no_rate(status: str) -> None:
    case = replace(MEASURED, status=status)
    assert not case.measured
    assert case.gflops_useful is None
    assert case.gflops_dense is None


def test_json_round_trip() -> None:
    assert CaseResult.from_json(json.loads(json.dumps(MEASURED.to_json(), allow_nan=False))) == MEASURED


def test_an_infinite_error_survives_strict_json() -> None:
    case = replace(MEASURED, status="wrong", max_rel_error=math.inf)
    assert CaseResult.from_json(json.loads(json.dumps(case.to_json(), allow_nan=False))) == case


def test_keys_of_a_newer_minor_version_are_ignored() -> None:
    assert CaseResult.from_json({**MEASURED.to_json(), "joules": 3}) == MEASURED


def test_keys_with_a_default_may_be_missing() -> None:
    required = [f.name for f in fields(CaseResult)][:23]
    record = MEASURED.to_json()
    assert CaseResult.from_json({name: record[name] for name in required}).rounds == 0


def _without_kernel(record: dict[str, object]) -> None:
    del record["kernel"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_kernel, "lacks kernel"),
        (lambda record: record.update(status="fine"), "status 'fine' is not one of ok, wrong"),
        (lambda record: record.update(samples_s=[1e-6, 0.0]), "samples_s"),
        (lambda record: record.update(samples_s=[1e-6, math.nan]), "samples_s"),
        (lambda record: record.update(samples_s=["1e-6"]), "samples_s"),
    ],
)
def test_a_spoilt_record_is_refused(spoil: Callable[[dict[str, object]], None], message: str) -> None:
    record = MEASURED.to_json()
    spoil(record)
    with pytest.raises(ValueError, match=message):
        CaseResult.from_json(record)
