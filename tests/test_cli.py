"""The program as a user meets it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sparsebench.results import COLUMNS

CACHE = tempfile.TemporaryDirectory()
PROBLEM = "matmul:64x96x8:complementary/8+0.75:f32"
SUITE = """
title = "Quick"
[[problems]]
shapes = [[32, 48], [40, 24]]
n = [1, 5]
patterns = [{ name = "complementary", lanes = 4 }, { name = "block", rows = 4, cols = 4 }]
density = 0.25
"""


def sparsebench(
    *arguments: str | Path, cwd: Path, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "sparsebench", *map(str, arguments)],
        cwd=cwd,
        env=base_environment() | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def base_environment() -> dict[str, str]:
    root = str(Path(__import__("sparsebench").__file__).parents[1])
    return {k: v for k, v in os.environ.items() if k != "SPARSEBENCH_DATA"} | {
        "PYTHONPATH": root,
        "COLUMNS": "80",
        # One for all tests: the ceilings of this machine are measured once.
        "SPARSEBENCH_CACHE": CACHE.name,
    }


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(SUITE)
    return path


def test_a_problem_is_run_checked_and_reported(tmp_path: Path) -> None:
    done = sparsebench("run", "--problem", PROBLEM, "--budget", "1", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 80
    assert "complementary" in done.stdout
    table = pd.read_csv(tmp_path / "r/results.csv")
    assert tuple(table.columns) == COLUMNS
    own = table[table.kernel == "complementary"].iloc[0]
    assert (own.status, own.M, own.K, own.N, own.lanes, own.overlay) == ("ok", 64, 96, 8, 8, 4)
    assert own.max_rel_error < 1e-5
    assert own.roofline_s > 0 and own.bound in ("compute", "L1d", "L2", "L3", "memory")
    assert own.roofline_fraction == pytest.approx(own.roofline_s / own.median_s)
    assert own.ci_low_s <= own.median_s <= own.ci_high_s
    assert set(table.problem) == {PROBLEM}
    record = json.loads((tmp_path / "r/run.json").read_text())
    assert record["argv"][:2] == ["sparsebench", "run"]
    assert record["machine"]["architecture"]
    assert record["libraries"]
    assert "finished" in record


def test_a_suite_with_json_keeps_stdout_for_data(suite: Path, tmp_path: Path) -> None:
    done = sparsebench("run", suite, "--kernels", "block,csr,numpy-*", "--json", "--budget", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # The baseline is measured too, asked for or not.
    kernels = {row["kernel"] for row in found["results"]}
    assert {"block", "csr", "numpy-dense"} <= kernels <= {"block", "csr", "numpy-dense", "mkl-dense"}
    assert len({row["problem"] for row in found["results"]}) == 8
    assert Path(tmp_path / found["run"]).is_dir()
    assert Path(found["run"]).parts[0] == "reports"
    assert "8/8" in done.stderr


def test_threads_level_and_where(suite: Path, tmp_path: Path) -> None:
    done = sparsebench(
        "run", suite, "--threads", "all,1", "--where", "N == 5 and M == 32", "--kernels", "csr", "--seed", "3",
        "--budget", "1", "--out", "r", "--quiet", cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    table = pd.read_csv(tmp_path / "r/results.csv")
    assert set(table.N) == {5}
    assert all(";seed=3" in problem for problem in table.problem)
    assert set(table.threads) >= {1}


def test_a_dry_run_measures_nothing(suite: Path, tmp_path: Path) -> None:
    done = sparsebench("run", suite, "--dry-run", "--kernels", "csr", cwd=tmp_path)
    assert done.returncode == 0
    assert len([line for line in done.stdout.splitlines() if "  csr  " in line]) == 8
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "nothing to run"),
        (["run", "smok"], "did you mean 'smoke'?"),
        (["run", "smoke", "--kernels", "mlk-dense"], "did you mean 'mkl-dense'?"),
        (["run", "smoke", "--threads", "0"], "--threads 0: a thread count must be at least 1"),
        (["run", "smoke", "--threads", "two"], "--threads 'two': give numbers from 1 up"),
        (["run", "smoke", "--threads", "1000"], "threads 1000: this machine has"),
        (["run", "smoke", "--isa", "v9"], "'v9' is not a level"),
        (["run", "smoke", "--where", "colour == 1"], "columns: op, pattern"),
        (["run", "smoke", "--budget", "0"], "--budget must be more than 0"),
        (["run", "smoke", "--out", "/proc/nowhere"], "cannot write"),
        (["run", "dlmc"], "--data"),
        (["run", "--problem", "matmul:1x1"], "does not have the form"),
        (["run", "--problem", "matmul:4x4x4:complementary/3+0.5:f32"], "lanes is 3"),
        (["run", "--problem", "matmul:4x4x4:unstructured+1.0:f32"], "density is 0"),
        (["run", "--problem", "matmul:900000x900000x4:unstructured+0.9:f32"], "GiB of memory is available"),
        (["run", "--problem", "matmul:4x4x4:stored+0.5:f32;weights=no.smtx"], "no.smtx"),
        (["run", "--resume", "nowhere"], "nowhere"),
        (["run", "smoke", "--resume", "nowhere"], "--resume takes all from the run folder"),
        (["report", "nowhere"], "nowhere"),
        (["list", "everything"], "everything"),
        (["run", "smoke", "--frobnicate"], "No such option"),
    ],
)
def test_bad_input_is_a_message_and_exit_code_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = sparsebench(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_weights_with_nan_are_bad_input(tmp_path: Path) -> None:
    import numpy as np

    weights = np.ones((8, 8), np.float32)
    weights[2, 3] = np.nan
    np.save(tmp_path / "w.npy", weights)
    done = sparsebench("run", "--problem", "matmul:8x8x4:unstructured+0.5:f32;weights=w.npy", cwd=tmp_path)
    assert done.returncode == 2
    assert "w.npy" in done.stderr and "nan" in done.stderr.lower()


def test_a_crash_is_exit_code_4_and_a_lie_3(tmp_path: Path) -> None:
    kernels = str(Path(__file__).parent / "rival_kernels")
    options = ["--problem", PROBLEM, "--budget", "0.2", "--quiet"]
    crash = sparsebench(
        "run", *options, "--kernels", "csr,bad-crash", "--out", "a", cwd=tmp_path, SPARSEBENCH_KERNEL_PATH=kernels
    )
    assert crash.returncode == 4, crash.stderr
    lie = sparsebench(
        "run", *options, "--kernels", "csr,bad-lie", "--out", "b", cwd=tmp_path, SPARSEBENCH_KERNEL_PATH=kernels
    )
    assert lie.returncode == 3, lie.stderr
    table = pd.read_csv(tmp_path / "a/results.csv").set_index("kernel")
    assert table.status["csr"] == "ok"
    assert "SIGSEGV" in table.error["bad-crash"]


def test_nothing_measured_is_exit_code_4(tmp_path: Path) -> None:
    done = sparsebench("run", "--problem", PROBLEM, "--kernels", "block", "--out", "r", cwd=tmp_path)
    table = pd.read_csv(tmp_path / "r/results.csv").set_index("kernel")
    assert table.status["block"] == "unsupported"
    # Only the baseline, which nobody asked for, was measured.
    assert done.returncode == 4


def test_without_mkl_the_baseline_falls_back_and_says_so(tmp_path: Path) -> None:
    hidden = tmp_path / "site"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nreal = m.files\n"
        "def files(name):\n    if name == 'mkl': raise m.PackageNotFoundError(name)\n    return real(name)\n"
        "m.files = files\n"
    )
    path = os.pathsep.join([str(hidden), base_environment()["PYTHONPATH"]])
    done = sparsebench("run", "--problem", PROBLEM, "--budget", "0.3", "--out", "r", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "baseline mkl-dense is unavailable, so speed-ups are over numpy-dense" in said
    table = pd.read_csv(tmp_path / "r/results.csv").set_index("kernel")
    assert table.status["mkl-dense"] == table.status["mkl-csr"] == "unavailable"
    assert "pip install mkl" in table.error["mkl-dense"] or "x86-64 only" in table.error["mkl-dense"]
    assert set(table.baseline) == {"numpy-dense"}
    assert table.speedup["complementary"] > 0


def _take_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and so do its children: this one shall not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(suite: Path, out: str, cwd: Path) -> subprocess.Popen[str]:
    """Start a run, and return once its first case is on disk."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "sparsebench",
            "run",
            str(suite),
            "--out",
            out,
            "--kernels",
            "csr,block,numpy-dense",
        ],
        cwd=cwd,
        env=base_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_take_interrupts,
    )
    cases = cwd / out / "cases.jsonl"
    deadline = time.monotonic() + 60
    while not (cases.exists() and cases.stat().st_size) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(
    suite: Path, tmp_path: Path, how: signal.Signals
) -> None:
    process = start(suite, "r", tmp_path)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    before = len((tmp_path / "r/cases.jsonl").read_text().splitlines())
    assert before
    if how == signal.SIGINT:
        assert process.returncode == 130, said
        assert "sparsebench run --resume r" in " ".join(said.split())
    done = sparsebench("run", "--resume", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "r/results.csv")
    assert len(table) == len(set(zip(table.problem, table.kernel, table.threads, strict=True)))
    assert set(table.problem.value_counts()) == {len(set(table.kernel))}
    assert table.problem.nunique() == 8
    assert (table[table.kernel == "csr"].status == "ok").all()


def test_a_disk_that_fills_up_keeps_what_is_finished(suite: Path, tmp_path: Path) -> None:
    """A limit on the size of files is a full disk that needs no rights: writes end in the middle of a line."""
    arguments = ["run", str(suite), "--kernels", "csr,block,numpy-dense", "--budget", "0.4", "--threads", "1"]
    command = shlex.join([sys.executable, "-P", "-m", "sparsebench", *arguments, "--out", "r"])
    # The ceilings are larger than the limit's unit, and measured before.
    assert sparsebench("run", "--problem", PROBLEM, "--budget", "0.1", "--out", "first", cwd=tmp_path).returncode == 0
    full = subprocess.run(
        ["bash", "-c", f"ulimit -f 16; exec {command}"],
        cwd=tmp_path,
        env=base_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = " ".join(full.stderr.split())
    assert full.returncode == 4, said
    assert "cannot write r/cases.jsonl: File too large." in said
    assert "go on with: sparsebench run --resume r" in said
    assert "Traceback" not in said
    kept = (tmp_path / "r/cases.jsonl").read_text()
    assert kept.endswith("\n")
    assert f"All {len(kept.splitlines())} cases finished before are kept" in said
    done = sparsebench("run", "--resume", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r/cases.jsonl").read_text().startswith(kept)
    assert len(pd.read_csv(tmp_path / "r/results.csv")) == 8 * 4


def test_a_run_of_another_machine_is_not_gone_on_with(tmp_path: Path) -> None:
    sparsebench("run", "--problem", PROBLEM, "--budget", "0.1", "--out", "r", "--quiet", cwd=tmp_path)
    record = json.loads((tmp_path / "r/run.json").read_text())
    record["machine"]["model"] = "Z80"
    (tmp_path / "r/run.json").write_text(json.dumps(record))
    done = sparsebench("run", "--resume", "r", cwd=tmp_path)
    assert done.returncode == 2
    assert "was begun on another machine (other: model)" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda run: run["conditions"]["before"]["build"].update(commit="c0ffee"), "build of the kernels"),
        (lambda run: run["kernels"]["scipy-csr"].update(version="0.1"), "set of library versions"),
    ],
    ids=["build", "library"],
)
def test_a_run_is_gone_on_with_by_what_began_it_alone(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    made = ("--problem", PROBLEM, "--kernels", "csr,scipy-csr", "--budget", "0.1", "--out", "r", "--quiet")
    sparsebench("run", *made, cwd=tmp_path)
    record = json.loads((tmp_path / "r/run.json").read_text())
    change(record)
    (tmp_path / "r/run.json").write_text(json.dumps(record))
    done = sparsebench("run", "--resume", "r", cwd=tmp_path)
    assert done.returncode == 2
    assert f"was begun with another {what}" in " ".join(done.stderr.split())


def test_a_run_says_where_its_time_went(tmp_path: Path) -> None:
    done = sparsebench("run", "--problem", PROBLEM, "--budget", "0.1", "--out", "r", cwd=tmp_path)
    assert re.search(r"\d s: \d+% measuring, \d+% packing, [\d.]+% overhead \(.*start", done.stderr)
    seconds = json.loads((tmp_path / "r/run.json").read_text())["seconds"]
    assert {"start", "operands", "reference", "prepare", "verify", "measure", "idle", "ceilings"} < seconds.keys()
    assert 0 < sum(spent for stage, spent in seconds.items() if stage != "wall") <= seconds["wall"]


def test_doctor_prints_commands_and_changes_nothing(tmp_path: Path) -> None:
    done = sparsebench("doctor", "--no-measure", cwd=tmp_path, OPENBLAS_CORETYPE="Haswell")
    assert done.returncode == 0
    assert "OPENBLAS_CORETYPE" in done.stdout
    facts = json.loads(sparsebench("doctor", "--no-measure", "--json", cwd=tmp_path).stdout)
    assert all(set(warning) == {"what", "advice", "commands"} for warning in facts["warnings"])


def test_report_formats(tmp_path: Path) -> None:
    sparsebench("run", "--problem", PROBLEM, "--budget", "0.3", "--out", "r", "--quiet", cwd=tmp_path)
    as_csv = sparsebench("report", "r", "--format", "csv", cwd=tmp_path)
    assert as_csv.stdout.splitlines()[0] == ",".join(COLUMNS)
    markdown = sparsebench("report", "r", "--format", "markdown", cwd=tmp_path)
    assert "| complementary |" in markdown.stdout or "complementary |" in markdown.stdout
    merged = sparsebench("report", "r", "--by", "pattern,N", "--metric", "gflops_useful", cwd=tmp_path)
    assert merged.returncode == 0, merged.stderr
    bad = sparsebench("report", "r", "--by", "colour", cwd=tmp_path)
    assert bad.returncode == 2
    assert "colour" in bad.stderr


@pytest.mark.parametrize("subject", ["suites", "kernels", "patterns"])
def test_lists(subject: str, tmp_path: Path) -> None:
    plain = sparsebench("list", subject, cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    rows = json.loads(sparsebench("list", subject, "--json", cwd=tmp_path).stdout)
    names = [next(iter(row.values())) for row in rows]
    assert all(name in plain.stdout for name in names)
    expected = {"suites": "smoke", "kernels": "mkl-im2col", "patterns": "stored"}[subject]
    assert expected in names


def test_tuned_plans_are_listed_and_forgotten(tmp_path: Path) -> None:
    own = {"SPARSEBENCH_CACHE": str(tmp_path / "cache")}
    assert "nothing tuned" in sparsebench("tune", cwd=tmp_path, **own).stdout
    done = sparsebench(
        *("run", "--problem", PROBLEM, "--kernels", "complementary", "--tune", "--budget", "0.2", "--out", "r", "-q"),
        cwd=tmp_path,
        **own,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r" / "run.json").read_text())["settings"]["tune"]
    (name,) = json.loads(sparsebench("tune", "--json", cwd=tmp_path, **own).stdout)
    assert "64x96x8" in name
    assert "64x96x8" in sparsebench("tune", cwd=tmp_path, **own).stdout
    assert sparsebench("tune", "--clear", cwd=tmp_path, **own).stdout == "forgot 1 tuned plan\n"


def test_convolutions_and_layouts_run_and_are_plotted(tmp_path: Path) -> None:
    problems = [
        "conv2d:8x4x3x3x9x9x2:complementary/4+0.75:f32;padding=1",
        "matmul:64x96x32:complementary/8+0.75:f32;layout=blocked",
        "matmul:64x96x1:complementary/8+0.75:f32@0.2",
    ]
    asked = [word for problem in problems for word in ("--problem", problem)]
    done = sparsebench("run", *asked, "--budget", "0.5", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "8x4x3x3@9x9" in done.stdout
    table = pd.read_csv(tmp_path / "r" / "results.csv").set_index(["op", "layout", "kernel"])
    assert (table.status.isin(["ok", "unsupported"])).all()
    assert (table.loc[("conv2d", "row", "complementary"), "pixels"] == 81).all()
    assert "blocked X and Y" in table.loc[("matmul", "blocked"), "detail"]["complementary"]
    assert table[table.selection_s.notna()].index.get_level_values("kernel").tolist() == ["complementary-ss"]
    drawn = sparsebench("report", "r", "--plot", "N", "--metric", "median", "-o", "n.svg", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "n.svg").stat().st_size > 5000
    refused = sparsebench("report", "r", "--plot", "N", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--plot needs --output" in refused.stderr


def test_help_and_version_import_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.argv = ['sparsebench', '--help']\n"
        "from sparsebench.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'pydantic', 'onnx', 'rich.live'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=base_environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    version = sparsebench("--version", cwd=tmp_path)
    assert version.stdout.startswith("sparsebench ")


def test_no_color_is_honoured(tmp_path: Path) -> None:
    done = sparsebench("doctor", "--no-measure", cwd=tmp_path, NO_COLOR="1", FORCE_COLOR="")
    assert done.returncode == 0, done.stderr
    assert "\x1b[3" not in done.stdout
