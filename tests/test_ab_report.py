"""From the pairs of processes on disk to verdicts, exit codes and text."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from sparsebench.ab_folder import PAIRS, RECORD, AbFolder, PairRecord, SideState
from sparsebench.bench.ab import BLOCKS
from sparsebench.bench.ab_stats import Criteria
from sparsebench.bench.checkout import Commit
from sparsebench.errors import InputError, StorageError
from sparsebench.report.ab import FORMATS, renderer
from sparsebench.report.ab.cases import Comparison, compare

OK = SideState("ok", detail="tile 4x3")
PROBLEM = "matmul:512x768x16:complementary/8+0.95:f32"
ABOUT = {
    "name": "smoke",
    "machine": {"model": "test"},
    "base": asdict(Commit("main", "a" * 40, "Before | it")),
    "head": asdict(Commit("working tree", "b" * 40, "with changes since aaaaaaaaaa Before", dirty=True)),
    "settings": {"data": None, "effort": {"repeats": 7}},
    "warnings": ["this is a virtual machine: trust ratios"],
    "finished": "now",
}


def pairs(kernel: str, ratio: float, *, n: int = 7, problem: str = PROBLEM, scale: float = 1e-4) -> list[PairRecord]:
    """A case whose head takes `ratio` times as long, give or take 0.2 % between processes."""
    rng = np.random.default_rng(0)
    found = []
    for repeat in range(n):
        head = ratio * math.exp(rng.normal(0, 0.002))
        order = BLOCKS[repeat % 2]
        samples = tuple(scale * (head if side == "B" else 1.0) for side in order)
        found.append(PairRecord("smoke", problem, kernel, 1, "v3", repeat, OK, OK, 10, order, samples))
    return found


def broken(kernel: str, base: SideState, head: SideState) -> list[PairRecord]:
    return [replace(r, base=base, head=head, inner=0, order="", samples_s=()) for r in pairs(kernel, 1.0)]


def compared(path: Path, records: Sequence[PairRecord], *, strict: bool = False, **about: object) -> Comparison:
    folder = AbFolder.create(path, ABOUT | about)
    folder.append(records)
    return compare(AbFolder.open(path), Criteria(), strict=strict)


def text(comparison: Comparison, form: str, everything: bool = False) -> str:
    stream = io.StringIO()
    renderer(form)(comparison, stream, everything=everything)
    return stream.getvalue()


@pytest.fixture
def everything(tmp_path: Path) -> Comparison:
    """One case of each outcome; two of them faster."""
    failed, wrong = SideState("failed", "SIGSEGV in 'prepare'"), SideState("wrong", "y[0, 1] is 3, float64 says 4")
    absent, unsupported = SideState("absent", "no such kernel"), SideState("unsupported", "N must be 1")
    noisy = [
        replace(record, samples_s=tuple(s * (1 + 0.3 * (record.repeat % 2)) if c == "B" else s for s, c in both))
        for record in pairs("noisy", 1.0)
        if (both := list(zip(record.samples_s, record.order, strict=True)))
    ]
    records = [
        *pairs("csr", 1.08),
        *pairs("block", 0.5),
        *pairs("dense", 0.9),
        *pairs("steady", 1.0),
        *noisy,
        *broken("lies", OK, wrong),
        *broken("crashes", OK, failed),
        *broken("mended", failed, OK),
        *broken("newer", absent, OK),
        *broken("older", OK, unsupported),
        *broken("neither", absent, unsupported),
    ]
    return compared(tmp_path / "all", records)


def test_every_case_has_its_outcome(everything: Comparison) -> None:
    assert {case.kernel: case.outcome for case in everything.cases} == {
        "csr": "slower",
        "block": "faster",
        "dense": "faster",
        "steady": "same",
        "noisy": "undecided",
        "lies": "wrong",
        "crashes": "failed",
        "mended": "unknown",
        "newer": "new",
        "older": "gone",
    }
    slower = everything.of("slower")[0]
    assert slower.change is not None
    assert math.exp(slower.change.estimate) == pytest.approx(1.08, rel=0.005)
    assert (slower.base_s, slower.head_s) == (pytest.approx(1e-4), pytest.approx(1.08e-4, rel=0.01))
    assert [case.kernel for case in everything.of("faster")] == ["block", "dense"], "what changed most comes first"
    assert {case.kernel: case.note for case in everything.of("unknown")}["mended"].startswith("base: failed: SIGSEGV")


def test_kernels_are_summed_up_over_their_cases(tmp_path: Path) -> None:
    other = PROBLEM.replace("x16:", "x64:")
    found = compared(tmp_path / "r", [*pairs("csr", 1.21), *pairs("csr", 1.0, problem=other), *pairs("block", 1.0)])
    csr, block = found.kernels
    assert math.exp(csr.change.estimate) == pytest.approx(1.1, rel=0.005)
    assert csr.counts == {"slower": 1, "faster": 0, "same": 1, "undecided": 0}
    assert block.change.low is not None and block.change.low < 0.01


@pytest.mark.parametrize(
    ("records", "strict", "finished", "code"),
    [
        (pairs("csr", 1.0), False, True, 0),
        (pairs("csr", 0.5), True, True, 0),
        (pairs("csr", 1.08), False, True, 1),
        (pairs("csr", 1.08) + broken("x", OK, SideState("failed", "")), False, True, 4),
        (broken("y", OK, SideState("wrong", "")) + broken("x", OK, SideState("timeout", "")), False, True, 3),
        # Nothing that says "not slower": no verdict, and so no pass.
        ([], False, True, 5),
        (pairs("csr", 1.08, n=1), False, True, 5),
        (broken("x", SideState("absent"), OK), False, True, 5),
        (broken("x", OK, SideState("absent")), False, True, 5),
        (pairs("csr", 1.0), False, False, 5),
        (pairs("csr", 1.08), False, False, 1),
        # Only --strict asks for a verdict on each.
        (pairs("csr", 1.0) + pairs("block", 1.0, n=1), False, True, 0),
        (pairs("csr", 1.0) + pairs("block", 1.0, n=1), True, True, 5),
        (pairs("csr", 1.0) + broken("x", OK, SideState("absent")), True, True, 5),
        (pairs("csr", 1.0) + broken("x", SideState("absent"), OK), True, True, 0),
        (pairs("csr", 1.0) + broken("x", SideState("wrong"), OK), False, True, 0),
    ],
)
def test_exit_codes(records: list[PairRecord], strict: bool, finished: bool, code: int, tmp_path: Path) -> None:
    about = {} if finished else {"finished": None}
    folder = AbFolder.create(tmp_path / "r", ABOUT | about)
    if not finished:
        del folder.record["finished"]
        folder.update()
    folder.append(records)
    assert compare(folder, Criteria(), strict=strict).exit_code == code


@pytest.mark.parametrize("columns", [80, 140])
def test_the_console_fits_and_shows_what_matters(
    everything: Comparison, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = text(everything, "console")
    lines = shown.splitlines()
    assert max(len(line) for line in lines if not line.startswith("sparsebench ab")) <= columns
    assert shown.index("wrong in head") < shown.index("failed in head") < shown.index("slower\n  matmul")
    assert re.search(r"csr +100 us -> 108 us +\+8\.\d % +\(\+7\.\d to \+8\.\d %\) +sd 0\.\d %", shown)
    assert "steady" not in shown[shown.index("\nundecided\n") :], "what is the same is counted, not listed"
    assert "steady" in text(everything, "console", everything=True)
    assert "bbbbbbbbbb (working tree)" in shown
    counted = " ".join(shown.split()).rpartition("1 wrong in head")[2]
    assert counted.startswith(", 1 failed in head, 1 slower, 2 faster, 1 gone from head, 1 new in head, ")
    command = next(line for line in lines if line.startswith("sparsebench ab --base"))
    assert "--head bbbbbbbbbbbb" in command and "--kernels lies" in command and PROBLEM in command


def test_a_different_choice_of_the_plan_is_told(tmp_path: Path) -> None:
    other = replace(OK, detail="tile 8x2")
    found = compared(tmp_path / "r", [replace(record, head=other) for record in pairs("csr", 1.08)])
    assert "base chose tile 4x3, head tile 8x2" in text(found, "console")


def test_markdown_is_a_table_whatever_is_in_a_name(everything: Comparison) -> None:
    shown = text(everything, "markdown", everything=True)
    tables = [line for line in shown.splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in tables} == {8, 10}
    assert r"Before \| it" in shown
    assert "**the same**" in shown and "**the same**" not in text(everything, "markdown")


def test_json_has_all(everything: Comparison) -> None:
    found = json.loads(text(everything, "json"))
    assert found["exit_code"] == everything.exit_code == 3
    assert len(found["cases"]) == 10
    csr = next(case for case in found["cases"] if case["kernel"] == "csr")
    assert csr["change"]["low"] < csr["change"]["ratio"] < csr["change"]["high"]
    assert found["counts"]["slower"] == 1 and found["head"]["dirty"] is True


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_comparison_is_rendered(form: str, tmp_path: Path) -> None:
    assert text(compared(tmp_path / "r", []), form)


def test_an_unknown_format_is_bad_input() -> None:
    with pytest.raises(InputError, match="--format 'xml' is not known; known: console"):
        renderer("xml")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = AbFolder.create(tmp_path / "a" / "b", ABOUT)
    folder.append(pairs("csr", 1.0))
    folder.append(broken("x", OK, SideState("absent", "no such kernel")))
    again = AbFolder.open(tmp_path / "a" / "b")
    assert again.pairs() == folder.pairs() == pairs("csr", 1.0) + broken("x", OK, SideState("absent", "no such kernel"))
    assert again.warnings() == ABOUT["warnings"]


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_torn_last_line_does_not_count(tmp_path: Path, cut: int) -> None:
    AbFolder.create(tmp_path, ABOUT).append(pairs("csr", 1.0))
    os.truncate(tmp_path / PAIRS, (tmp_path / PAIRS).stat().st_size - cut)
    again = AbFolder.open(tmp_path)
    assert again.pairs() == pairs("csr", 1.0)[:-1]
    assert any("torn" in warning for warning in again.warnings())


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no {RECORD}"):
        AbFolder.open(tmp_path)
    AbFolder.create(tmp_path, ABOUT).append(pairs("csr", 1.0, n=1))
    with pytest.raises(InputError, match="not empty"):
        AbFolder.create(tmp_path, ABOUT)
    line = json.loads((tmp_path / PAIRS).read_text())
    for bad in ({k: v for k, v in line.items() if k != "base"}, line | {"colour": 1}, line | {"samples_s": 3}):
        (tmp_path / PAIRS).write_text(json.dumps(bad) + "\n" + json.dumps(line) + "\n")
        damaged = AbFolder.open(tmp_path)
        assert len(damaged.pairs()) == 1
        assert any(re.match(rf"{PAIRS}, line 1: .*; the pair on it is lost", said) for said in damaged.warnings())
    (tmp_path / RECORD).write_text('{"schema_version": 99}')
    with pytest.raises(InputError, match="newer than this sparsebench reads"):
        AbFolder.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write a comparison"):
        AbFolder.create(tmp_path / "file" / "r", ABOUT)


@pytest.mark.parametrize("samples", [(0.0,) * 8, (1e-6,) * 7])
def test_samples_that_are_no_times_are_refused(samples: tuple[float, ...], tmp_path: Path) -> None:
    record = replace(pairs("csr", 1.0)[0], samples_s=samples)
    AbFolder.create(tmp_path / "r", ABOUT).append([record])
    folder = AbFolder.open(tmp_path / "r")
    assert folder.pairs() == [] and re.search(rf"{PAIRS}, line 1: .*samples", folder.warnings()[-1])


def test_a_full_disk_loses_nothing_that_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = AbFolder.create(tmp_path / "r", ABOUT)
    folder.append(pairs("csr", 1.0, n=1))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*pairs\.jsonl.*No space left.*--show"):
        folder.append(pairs("block", 1.0, n=1))
    with pytest.raises(StorageError, match=r"ab\.json"):
        folder.update(finished="now")
    monkeypatch.undo()
    assert [pair.kernel for pair in AbFolder.open(tmp_path / "r").pairs()] == ["csr"]
