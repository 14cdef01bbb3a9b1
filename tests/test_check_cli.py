"""``sparsebench check`` and ``run --check`` as a user meets them: in a process of their own."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_cli import sparsebench

THRESHOLD = """
[[thresholds]]
claim = "faster | <than> SciPy"
kernel = "complementary"
against = "scipy-csr"
statistic = "min"
at_least = LIMIT
"""
SUITE = """
title = "Tiny"
[[problems]]
shapes = [[64, 96]]
n = [1, 8]
patterns = [{ name = "complementary", lanes = 8 }]
density = 0.25
"""


def test_run_check_and_check_agree(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SUITE + THRESHOLD.replace("LIMIT", "1e-6"))
    asked = ("--kernels", "complementary,scipy-csr", "--budget", "0.1")
    done = sparsebench("run", "tiny.toml", *asked, "--check", "--strict", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 threshold: 1 holds." in done.stdout
    assert "sparsebench run --problem matmul:64x96x" in done.stdout
    assert max(len(line.rstrip()) for line in done.stdout.splitlines() if "--problem" not in line) <= 80
    (tmp_path / "high.toml").write_text(THRESHOLD.replace("LIMIT", "1e6"))
    short = sparsebench("check", "r", "--thresholds", "high.toml", cwd=tmp_path)
    assert (short.returncode, short.stderr) == (1, "")
    assert "falls short" in short.stdout
    again = sparsebench("run", "--resume", "r", "--check", "--thresholds", "high.toml", "--json", cwd=tmp_path)
    assert again.returncode == 1, again.stderr
    assert json.loads(again.stdout)["results"]
    assert "falls short" in again.stderr
    quiet = sparsebench("run", "--resume", "r", "--check", "--thresholds", "high.toml", "--quiet", cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (1, "", "")
    as_xml = sparsebench("check", "r", "--format", "junit", "-o", "r.xml", cwd=tmp_path)
    assert (as_xml.returncode, as_xml.stdout) == (0, "")
    assert ElementTree.parse(tmp_path / "r.xml").getroot().find("testsuite/testcase") is not None


def test_confirm_measures_and_keeps_what_it_measured(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SUITE)
    asked = ("--kernels", "complementary,scipy-csr", "--budget", "0.1", "--quiet", "--out", "r")
    assert sparsebench("run", "tiny.toml", *asked, cwd=tmp_path).returncode == 0
    # The limit is what was measured: the interval of one cell straddles it.
    rows = [json.loads(line) for line in (tmp_path / "r" / "cases.jsonl").read_text().splitlines()]
    samples = {r["kernel"]: r["samples_s"] for r in rows if r["N"] == 8}
    ratios = sorted(a / b for a, b in zip(samples["scipy-csr"], samples["complementary"], strict=True))
    limit = THRESHOLD.replace("LIMIT", str(ratios[len(ratios) // 2])).replace(
        "statistic", "where = 'N == 8'\nstatistic"
    )
    (tmp_path / "t.toml").write_text(limit)
    undecided = sparsebench("check", "r", "--thresholds", "t.toml", "--strict", cwd=tmp_path)
    assert undecided.returncode == 5, undecided.stdout
    done = sparsebench("check", "r", "--thresholds", "t.toml", "--confirm", "1", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert "problems: 1, cases: 2 -> r/confirm-1" in done.stderr
    assert len((tmp_path / "r" / "confirm-1" / "cases.jsonl").read_text().splitlines()) == 2


def test_a_wrong_answer_is_graver_than_a_threshold(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SUITE + THRESHOLD.replace("LIMIT", "1e6").replace("complementary", "bad-lie"))
    kernels = str(Path(__file__).parent / "rival_kernels")
    done = sparsebench(
        *("run", "tiny.toml", "--kernels", "bad-lie,scipy-csr", "--budget", "0.2", "--check", "--out", "r"),
        cwd=tmp_path,
        SPARSEBENCH_KERNEL_PATH=kernels,
    )
    assert done.returncode == 3, done.stderr
    assert "bad-lie wrong at matmul:64x96x1" in " ".join(done.stdout.split())
    assert sparsebench("check", "r", cwd=tmp_path).returncode == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "nowhere"], "there is no run at 'nowhere'"),
        (["check", "nowhere", "--format", "yaml"], "--format 'yaml' is not known; known: console, markdown"),
        (["check"], "Missing argument 'RUN'"),
        (["run", "smoke", "--confirm", "1"], "--thresholds, --confirm and --strict are for --check"),
        (["run", "smoke", "--check", "--kernels", "csr"], "kernel 'complementary' is not among those to be run"),
        (["run", "smoke", "--check", "--thresholds", "absent.toml"], "thresholds file 'absent.toml' does not exist"),
        (["run", "scaling", "--check"], "there are no thresholds in 'scaling': give --thresholds FILE"),
    ],
)
def test_bad_input_is_exit_code_2_and_measures_nothing(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = sparsebench(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert says in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())
