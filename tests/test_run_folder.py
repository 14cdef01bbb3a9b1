from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from test_results import MEASURED

from sparsebench.errors import InputError
from sparsebench.results import COLUMNS, CaseResult
from sparsebench.run_folder import CASES, RESULTS, RUN, SCHEMA_VERSION, RunFolder, derive_rows


def make_group(n: int = 10, group: str = "g1") -> list[CaseResult]:
    """A baseline of 8 us; csr four times as fast; complementary that cannot; scipy-csr that is wrong."""
    problem = f"matmul:100x200x{n}:unstructured+0.95:f32"
    base = replace(MEASURED, problem=problem, N=n, group=group)
    return [
        replace(base, kernel="mkl-dense", provider="mkl", median_s=8e-6, samples_s=[8e-6, 8.8e-6, 7.2e-6]),
        replace(base, kernel="csr", median_s=2e-6, samples_s=[2e-6, 2.2e-6, 1.8e-6]),
        replace(base, kernel="complementary", status="unsupported", median_s=None, samples_s=[]),
        replace(base, kernel="scipy-csr", status="wrong", error='off by "1", see\nbelow', max_rel_error=float("inf")),
    ]


def read_csv(folder: Path) -> list[dict[str, str]]:
    with (folder / RESULTS).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def assert_in_step(folder: Path) -> None:
    """results.csv is byte for byte what its cases.jsonl leads to."""
    kept = (folder / RESULTS).read_text(encoding="utf-8")
    RunFolder.open(folder)._rewrite_csv()
    assert (folder / RESULTS).read_text(encoding="utf-8") == kept


def test_rows_have_the_columns_and_the_speedups() -> None:
    rows = {row["kernel"]: row for row in derive_rows(make_group())}
    assert all(tuple(row) == COLUMNS for row in rows.values())
    assert rows["mkl-dense"]["speedup"] == 1.0
    assert rows["csr"]["speedup"] == pytest.approx(4.0)
    assert rows["csr"]["speedup_ci_low"] == pytest.approx(4.0)
    assert rows["csr"]["gflops_useful"] == pytest.approx(2 * 1000 * 10 / 2e-6 / 1e9)
    assert rows["complementary"]["speedup"] is None


def test_a_wrong_case_has_no_time_in_its_row() -> None:
    row = derive_rows(make_group())[3]
    assert row["error"].startswith("off by")
    assert [row[name] for name in ("median_s", "speedup", "gflops_useful", "gflops_dense")] == [None] * 4


def test_without_an_ok_baseline_there_is_no_speedup() -> None:
    group = make_group()
    group[0] = replace(group[0], status="mistrusted")
    assert [row["speedup"] for row in derive_rows(group)] == [None] * 4
    assert derive_rows(group)[0]["median_s"] == 8e-6
    assert derive_rows(group[1:2])[0]["speedup"] is None


def test_samples_of_another_group_are_no_baseline() -> None:
    group = make_group()
    assert derive_rows([group[0], replace(group[1], group="g2")])[1]["speedup"] is None
    ungrouped = [replace(case, group="") for case in group]
    assert derive_rows(ungrouped)[1]["speedup"] is None


def test_unusual_samples_are_remarked() -> None:
    case = replace(MEASURED, samples_s=[1e-6, 1.01e-6, 1.02e-6] * 5 + [9e-6])
    assert derive_rows([case])[0]["remarks"] == "outliers"


def test_a_new_run_has_its_three_files(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "a" / "b", {"argv": ["sparsebench"]})
    assert sorted(path.name for path in folder.path.iterdir()) == [CASES, RESULTS, RUN]
    assert json.loads((folder.path / RUN).read_text()) == {"schema_version": SCHEMA_VERSION, "argv": ["sparsebench"]}
    assert folder.results() == []
    assert (folder.path / RESULTS).read_text() == ",".join(COLUMNS) + "\n"


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {})
    folder.append(make_group())
    folder.append(make_group(20, "g2"))
    again = RunFolder.open(tmp_path)
    assert again.results() == folder.results() == make_group() + make_group(20, "g2")
    assert again.finished() == {case.key for case in again.results()}
    assert len((tmp_path / CASES).read_text().splitlines()) == 8
    assert not again.torn


def test_csv_is_in_step_after_every_group(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {})
    for number, size in enumerate((10, 20, 30)):
        folder.append(make_group(size, f"g{number}"))
        assert len(read_csv(tmp_path)) == 4 * (number + 1)
        assert_in_step(tmp_path)
    row = read_csv(tmp_path)[1]
    assert float(row["speedup"]) == pytest.approx(4.0)
    assert row["overlay"] == ""
    assert read_csv(tmp_path)[3]["error"] == 'off by "1", see\nbelow'


def test_frame_has_exactly_the_columns(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {})
    assert tuple(folder.frame().columns) == COLUMNS
    folder.append(make_group())
    frame = folder.frame()
    assert tuple(frame.columns) == COLUMNS
    assert frame.loc[frame["kernel"] == "csr", "speedup"].item() == pytest.approx(4.0)
    assert frame["overlay"].isna().all()
    assert frame["nnz"].tolist() == [1000] * 4


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_torn_last_line_is_ignored_and_then_cut_off(tmp_path: Path, cut: int) -> None:
    RunFolder.create(tmp_path, {}).append(make_group())
    cases = tmp_path / CASES
    os.truncate(cases, cases.stat().st_size - cut)
    torn = cases.read_bytes()

    reopened = RunFolder.open(tmp_path)
    assert reopened.torn
    assert reopened.results() == make_group()[:3]
    assert any("torn" in warning for warning in reopened.warnings())
    assert cases.read_bytes() == torn, "opening must change nothing"

    reopened.append(make_group(20, "g2"))
    assert not reopened.torn
    assert RunFolder.open(tmp_path).results() == make_group()[:3] + make_group(20, "g2")
    assert_in_step(tmp_path)


def test_a_csv_that_fell_behind_is_rewritten_before_the_first_write(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, {}).append(make_group())
    (tmp_path / RESULTS).write_text("suite\nlost\n")
    RunFolder.open(tmp_path).update(finished="now")
    assert_in_step(tmp_path)
    assert len(read_csv(tmp_path)) == 4


def test_a_group_measured_again_replaces_what_it_had(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, {}).append(make_group()[:2])
    folder = RunFolder.open(tmp_path)
    again = [replace(case, group="g2", rounds=99) for case in make_group()]
    folder.append(again)
    assert folder.results() == RunFolder.open(tmp_path).results() == again
    assert [row["rounds"] for row in read_csv(tmp_path)] == ["99"] * 4
    assert_in_step(tmp_path)


def test_a_damaged_line_costs_its_case_and_is_named(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, {"finished": "now"}).append(make_group())
    lines = (tmp_path / CASES).read_text().splitlines(keepends=True)
    (tmp_path / CASES).write_text("".join([lines[0], lines[1][:50] + "\n", *lines[2:]]))
    folder = RunFolder.open(tmp_path)
    assert folder.results() == [make_group()[0], *make_group()[2:]]
    (loss,) = folder.losses
    assert loss.startswith(f"{CASES}, line 2: not a JSON record")
    assert folder.warnings() == [loss]


@pytest.mark.parametrize("line", ['{"suite": "smoke"}', "[1, 2]", '"text"', "3", "[" * 100_000])
def test_a_line_that_is_no_case_is_named(tmp_path: Path, line: str) -> None:
    RunFolder.create(tmp_path, {}).append(make_group())
    with (tmp_path / CASES).open("a") as stream:
        stream.write(line + "\n")
    folder = RunFolder.open(tmp_path)
    assert folder.results() == make_group()
    assert folder.losses[0].startswith(f"{CASES}, line 5: ")


def test_of_many_damaged_lines_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, {}).append(make_group())
    with (tmp_path / CASES).open("a") as stream:
        stream.write("?\n" * 40)
    losses = RunFolder.open(tmp_path).losses
    assert [loss.split(":")[0] for loss in losses] == [f"{CASES}, line {n}" for n in (5, 6, 7)] + [CASES]
    assert "37 more lines are damaged" in losses[-1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"samples_s": [1e-6, float("nan")]}, "samples_s holds nan"),
        ({"samples_s": [1e-6, 0.0]}, "samples_s holds 0.0"),
        ({"samples_s": [-1e-6]}, "samples_s holds -1e-06"),
        ({"median_s": float("nan")}, "median_s is nan"),
        ({"median_s": 0.0}, "median_s is 0.0"),
        ({"rounds": "many"}, "rounds is 'many'"),
        ({"threads": None}, "threads is None"),
        ({"kernel": 7}, "kernel is 7"),
        ({"status": "splendid"}, "status 'splendid'"),
    ],
)
def test_a_case_with_values_that_cannot_be_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    RunFolder.create(tmp_path, {}).append(make_group())
    record = make_group(20)[1].to_json() | changes
    with (tmp_path / CASES).open("a") as stream:
        stream.write(json.dumps(record) + "\n")
    folder = RunFolder.open(tmp_path)
    assert folder.results() == make_group()
    assert f"{record['kernel']} on matmul:100x200x20:unstructured+0.95:f32, " in folder.losses[0]
    assert says in folder.losses[0]


def test_rounds_that_do_not_pair_up_are_an_error_that_names_the_case() -> None:
    group = make_group()
    group[1] = replace(group[1], samples_s=[2e-6])
    with pytest.raises(InputError, match=r"csr on matmul:100x200x10.*cannot be compared with mkl-dense"):
        derive_rows(group)


def test_cases_that_are_missing_make_a_run_incomplete(tmp_path: Path) -> None:
    groups = [
        {"suite": c.suite, "problem": c.problem, "kernels": [c.kernel], "threads": c.threads, "level": c.level}
        for c in make_group()
    ]
    folder = RunFolder.create(tmp_path, {"finished": "now", "groups": groups})
    folder.append(make_group()[:3])
    assert not folder.complete
    assert folder.warnings() == [
        f"the run is not complete (1 of 4 cases are missing); finish it with: sparsebench run --resume {tmp_path}"
    ]
    folder.append(make_group()[3:])
    assert folder.complete
    assert folder.warnings() == []


def test_a_warning_is_kept_once(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {"finished": "now"})
    for text in ("steal", "drift", "steal"):
        folder.warn(text)
    assert RunFolder.open(tmp_path).warnings() == ["steal", "drift"]


def test_update_replaces_the_record_as_a_whole(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {"warnings": ["steal 3 %"]})
    assert folder.warnings() == [
        "steal 3 %",
        f"the run is not complete; finish it with: sparsebench run --resume {tmp_path}",
    ]
    folder.update(finished="now", libraries={"a": 1})
    again = RunFolder.open(tmp_path)
    assert again.run == folder.run
    assert again.run["libraries"] == {"a": 1}
    assert again.warnings() == ["steal 3 %"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [CASES, RESULTS, RUN]


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {"argv": ["a"]})
    with pytest.raises(TypeError):
        folder.update(bad=object())
    assert RunFolder.open(tmp_path).run["argv"] == ["a"]


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(InputError, match="not empty"):
        RunFolder.create(tmp_path / "other", {})
    RunFolder.create(tmp_path / "run", {})
    with pytest.raises(InputError, match=r"already holds a run.*--resume"):
        RunFolder.create(tmp_path / "run", {})


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    # Nobody can make folders in /proc, not even root.
    for path in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(InputError, match="cannot write a run to"):
            RunFolder.create(path, {})


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        RunFolder.open(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="not a folder"):
        RunFolder.open(tmp_path / "file")
    with pytest.raises(InputError, match=f"no {RUN}"):
        RunFolder.open(tmp_path)
    RunFolder.create(tmp_path / "run", {})
    (tmp_path / "run" / CASES).unlink()
    with pytest.raises(InputError, match=f"{CASES} is missing"):
        RunFolder.open(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[]", "schema_version"),
        ("{}", "schema_version"),
        (f'{{"schema_version": {SCHEMA_VERSION + 1}}}', "newer than this sparsebench reads"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    folder = RunFolder.create(tmp_path, {})
    (folder.path / RUN).write_text(text)
    with pytest.raises(InputError, match=message):
        RunFolder.open(tmp_path)
