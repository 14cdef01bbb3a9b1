"""Two versions in turn: what one side does wrong is that side's, and costs its case alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from two_versions import version

from sparsebench import isa
from sparsebench.ab_folder import PairRecord
from sparsebench.bench.ab import BLOCKS, Effort, Settings, measure, started
from sparsebench.bench.pool import ROOT, WorkerError
from sparsebench.errors import InputError
from sparsebench.problem import Problem
from sparsebench.suite import Group

PROBLEM = "matmul:48x64x5:unstructured+0.9:f32"
QUICK = Effort(repeats=1, seconds=1e-9, sample_s=1e-4, settle_s=5e-5)


class Quiet:
    def __init__(self) -> None:
        self.started: list[tuple[int, str]] = []
        self.finished: list[tuple[str, int]] = []

    def group_started(self, repeat: int, group: Group) -> None:
        self.started.append((repeat, str(group.problem)))

    def side_finished(self, label: str, threads: int, level: str, libraries: dict[str, Any]) -> None:
        assert libraries["pools"]
        self.finished.append((label, threads))


def group(*kernels: str, problem: str = PROBLEM, threads: int = 1) -> Group:
    return Group("test", Problem.parse(problem), kernels, threads, isa.active(), "numpy-dense")


def run(
    groups: Sequence[Group],
    base: Path = ROOT,
    head: Path = ROOT,
    *,
    effort: Effort = QUICK,
    time_limit: float = 60.0,
    listener: Quiet | None = None,
) -> list[PairRecord]:
    settings = Settings({"base": base, "head": head}, effort=effort, time_limit=time_limit)
    return [record for records in measure(groups, settings, listener or Quiet()) for record in records]


def test_both_sides_are_timed_alike_in_balanced_order() -> None:
    listener = Quiet()
    effort = Effort(repeats=2, seconds=0.03, sample_s=1e-4, settle_s=5e-5)
    groups = [group("csr", "scipy-csr", "block"), group("csr", problem=PROBLEM + ";seed=1")]
    records = run(groups, effort=effort, listener=listener)
    assert Counter((r.repeat, r.kernel) for r in records) == {
        (repeat, kernel): 2 if kernel == "csr" else 1 for repeat in (0, 1) for kernel in ("csr", "scipy-csr", "block")
    }
    assert sorted(listener.started) == sorted((r, str(g.problem)) for r in (0, 1) for g in groups)
    assert sorted(listener.finished) == [("base", 1), ("base", 1), ("head", 1), ("head", 1)]
    for record in records:
        if record.kernel == "block":
            assert (record.base.status, record.head.status, record.samples_s) == ("unsupported", "unsupported", ())
            continue
        assert record.base.timed and record.head.timed
        assert len(record.samples_s) == len(record.order) >= 8 and min(record.samples_s) > 0
        assert {record.order[i : i + 8] for i in range(0, len(record.order), 8)} <= set(BLOCKS)
    # Calls per sample are agreed upon once a case, for both sides and all pairs of processes.
    assert len({(r.key, r.inner) for r in records}) == len({r.key for r in records})
    # Within a group every kernel has as many samples.
    lengths = {(r.repeat, r.problem): len(r.order) for r in records if r.kernel == "csr"}
    assert all(len(r.order) == lengths[r.repeat, r.problem] for r in records if r.kernel == "scipy-csr")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("calls > 2 and hang()", "timeout", "no end after 3 s while in 'measure'"),
        ("if calls > 1: return out", "wrong", "not written"),
        ("raise MemoryError('no room')", "failed", "no room"),
    ],
    ids=["hang", "lie", "raise"],
)
def test_what_head_does_wrong_costs_its_case(body: str, status: str, said: str, tmp_path: Path) -> None:
    base, head = version(tmp_path / "base", rival="pass"), version(tmp_path / "head", rival=body)
    records = {record.kernel: record for record in run([group("csr", "rival")], base, head, time_limit=3.0)}
    rival = records["rival"]
    assert (rival.base.status, rival.head.status) == ("ok", status)
    assert said in rival.head.error
    assert (rival.samples_s, rival.order) == ((), "")
    assert records["csr"].base.timed and records["csr"].head.timed and records["csr"].samples_s


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("pass", "ok", ""),
        ("calls > 1 and crash()", "failed", "the process of 'test' died (SIGKILL)"),
        ("if calls > 1: return out", "wrong", "not written"),
    ],
    ids=["right", "crash", "lie"],
)
def test_a_process_of_its_own_is_that_of_its_side(body: str, status: str, said: str, tmp_path: Path) -> None:
    base, head = (version(tmp_path / side, "test", far=code) for side, code in (("base", "pass"), ("head", body)))
    records = {record.kernel: record for record in run([group("csr", "far")], base, head)}
    far = records["far"]
    assert (far.base.status, far.head.status) == ("ok", status)
    assert said in far.head.error
    assert bool(far.samples_s) == (status == "ok")
    assert records["csr"].base.timed and records["csr"].head.timed and records["csr"].samples_s


def test_what_crashed_is_not_tried_again(tmp_path: Path) -> None:
    base = version(tmp_path / "base", rival="calls > 2 and crash()")
    head = version(tmp_path / "head", rival="pass")
    listener = Quiet()
    effort = Effort(repeats=2, seconds=1e-9, sample_s=1e-4, settle_s=5e-5)
    records = run([group("csr", "rival")], base, head, effort=effort, listener=listener)
    assert [(r.base.status, r.head.status) for r in records if r.kernel == "rival"] == [("failed", "ok")] * 2
    assert "SIGKILL" in records[1].base.error
    assert [repeat for repeat, _ in listener.started] == [0, 0, 1]


def test_kernels_that_one_side_lacks_are_absent_there(tmp_path: Path) -> None:
    base, head = version(tmp_path / "base", older="pass"), version(tmp_path / "head", newer="pass")
    records = {record.kernel: record for record in run([group("older", "newer", "csr")], base, head)}
    assert (records["older"].base.status, records["older"].head.status) == ("ok", "absent")
    assert (records["newer"].base.status, records["newer"].head.status) == ("absent", "ok")
    assert records["csr"].samples_s and not records["older"].samples_s


def test_weights_that_neither_side_can_read_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.npy"):
        run([group("csr", problem=f"matmul:4x4x1:unstructured+0.5:f32;weights={tmp_path / 'absent.npy'}")])


def test_a_side_must_be_the_version_that_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"head: sparsebench was imported from .*, not from"):
        run([group("csr")], head=tmp_path)


def test_a_side_that_does_not_start_says_why(tmp_path: Path) -> None:
    head = version(tmp_path)
    (head / "sparsebench" / "registry.py").unlink()
    (head / "sparsebench" / "registry.py").write_text("raise RuntimeError('half a commit')")
    with pytest.raises(WorkerError, match=r"head: the worker died \(exit code 1\).*half a commit"):
        run([group("csr")], head=head)


def test_a_level_that_cannot_run_is_bad_input() -> None:
    with (
        pytest.raises(InputError, match="base: instruction set 'v9' is not a level"),
        started("base", 1, "v9", Settings({"base": ROOT, "head": ROOT})),
    ):
        pass
