"""``sparsebench ab`` as a user meets it: in a process of its own, on commits whose builds are there already."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from test_checkout import commit, git
from test_cli import base_environment, sparsebench
from two_versions import version

from sparsebench import isa
from sparsebench.ab_folder import AbFolder
from sparsebench.bench.ab_worker import PROTOCOL
from sparsebench.bench.checkout import WORKER, folder_of, resolve
from sparsebench.bench.pool import ROOT

PROBLEM = "matmul:48x64x5:unstructured+0.9:f32"
QUICK = ("--problem", PROBLEM, "--kernels", "csr,rival", "--budget", "0.01", "--repeats", "2")


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of commits 'old' (before ab), 'first' and 'second'; the builds of the last two are this program's."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@invalid")
    folder = tmp_path / "repo"
    (folder / "sparsebench" / "bench").mkdir(parents=True)
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "repo")
    (folder / "setup.py").write_text("raise SystemExit('error: no compiler')")
    # Nothing is wanted, so nothing is fetched.
    (folder / "pyproject.toml").write_text("[build-system]\nrequires = []\n")
    (folder / ".gitignore").write_text("/reports/\n")
    commit(folder, "old", registry="")
    (folder / WORKER).write_text(f"PROTOCOL = {PROTOCOL}\n")
    commit(folder, "first", registry="OLD = True")
    git(folder, "switch", "--quiet", "-c", "topic")
    commit(folder, "second", registry="NEW = True")
    return folder


def built(repo: Path, revision: str, root: Path) -> None:
    """Put a build of a commit where ``ab`` looks for it."""
    folder = folder_of(resolve(repo, revision), isa.active())
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(root)


def ab(*arguments: str | Path, repo: Path) -> subprocess.CompletedProcess[str]:
    return sparsebench("ab", *arguments, cwd=repo, SPARSEBENCH_CACHE=os.environ["SPARSEBENCH_CACHE"])


def test_a_branch_is_compared_with_where_it_began(repo: Path, tmp_path: Path) -> None:
    built(repo, "main", ROOT)
    built(repo, "HEAD", version(tmp_path / "head", rival="pass"))
    done = ab(*QUICK, "--out", "r", repo=repo)
    assert done.returncode in (0, 1, 5), done.stderr
    assert "base  " in done.stderr and "(merge base with main) first" in done.stderr
    assert max(len(line) for line in done.stdout.splitlines() if not line.startswith("sparsebench ab")) <= 80
    assert "new in head" in done.stdout and "rival" in done.stdout
    folder = AbFolder.open(repo / "r")
    assert [(pair.kernel, pair.repeat) for pair in folder.pairs()] == [(k, r) for r in (0, 1) for k in ("csr", "rival")]
    assert folder.record["head"]["subject"] == "second" and folder.record["finished"]
    assert set(folder.record["libraries"]) == {f"{side} threads=1 level={isa.active()}" for side in ("base", "head")}
    assert "COMPILER" in folder.record["builds"]["base"]
    again = ab("--show", "r", "--format", "json", "-o", "r.json", "--strict", repo=repo)
    assert again.stdout == ""
    found = json.loads((repo / "r.json").read_text())
    assert found["exit_code"] == again.returncode
    assert {case["kernel"] for case in found["cases"]} == {"csr", "rival"}


def test_a_wrong_answer_in_head_is_exit_code_3(repo: Path, tmp_path: Path) -> None:
    built(repo, "main", version(tmp_path / "base", rival="pass"))
    built(repo, "HEAD", version(tmp_path / "head", rival="return out"))
    done = ab(*QUICK, "--quiet", repo=repo)
    assert (done.returncode, done.stderr) == (3, "")
    assert "wrong in head" in done.stdout


def test_what_does_not_build_is_exit_code_4_with_its_log(repo: Path) -> None:
    done = ab(*QUICK, repo=repo)
    assert done.returncode == 4
    log = Path(" ".join(done.stderr.split()).rpartition("see ")[2])
    assert "first does not build" in done.stderr
    assert "error: no compiler" in log.read_text()
    assert done.stdout == "" and not (repo / "reports").exists()


def test_a_kill_loses_nothing_that_was_finished(repo: Path) -> None:
    built(repo, "main", ROOT)
    built(repo, "HEAD", ROOT)
    arguments = ["ab", "--problem", PROBLEM, "--kernels", "csr", "--repeats", "1000", "--out", "r", "--quiet"]
    environment = base_environment() | {"SPARSEBENCH_CACHE": os.environ["SPARSEBENCH_CACHE"]}
    process = subprocess.Popen([sys.executable, "-P", "-m", "sparsebench", *arguments], cwd=repo, env=environment)
    pairs = repo / "r" / "pairs.jsonl"
    deadline = time.monotonic() + 60
    while not (pairs.exists() and pairs.read_text().count("\n") >= 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Workers end with their parent.
    assert not psutil.wait_procs(workers, timeout=10)[1]
    shown = ab("--show", "r", repo=repo)
    assert shown.returncode in (1, 5)
    assert "not complete" in shown.stdout and "csr" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to compare: name a suite"),
        (["smok"], "did you mean 'smoke'?"),
        (["--problem", "matmul:1x1"], "does not have the form"),
        (["smoke", "--base", "HEAD~2"], "old: older than 'sparsebench ab'"),
        (["smoke", "--base", "nowhere"], "'nowhere' is no commit"),
        (["smoke", "--head", "main"], "nothing has changed since the merge base with main"),
        (["smoke", "--repeats", "1"], "--repeats 1: at least 2"),
        (["smoke", "--budget", "0"], "--budget must be more than 0"),
        (["smoke", "--threshold", "0"], "--threshold must be more than 0"),
        (["smoke", "--kernels", "mlk-dense"], "did you mean 'mkl-dense'?"),
        (["smoke", "--isa", "v9"], "'v9' is not a level"),
        (["smoke", "--format", "xml"], "--format 'xml' is not known"),
        (["smoke", "--show", "r"], "--show measures nothing"),
        (["--show", "nowhere"], "it has no ab.json"),
        (["smoke", "--out", "/proc/nowhere"], "cannot write"),
    ],
)
def test_bad_input_is_a_message_and_exit_code_2(
    arguments: list[str], says: str, repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparsebench.cli import main

    built(repo, "main", ROOT)
    built(repo, "HEAD", ROOT)
    monkeypatch.chdir(repo)
    monkeypatch.setattr(sys, "argv", ["sparsebench", "ab", *arguments, "--quiet"])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 2
    shown = capsys.readouterr()
    assert says in " ".join(shown.err.split())
    assert shown.out == ""


def test_outside_of_a_checkout_it_says_so(tmp_path: Path) -> None:
    done = sparsebench("ab", "smoke", cwd=tmp_path)
    assert done.returncode == 2
    assert "is not in a git checkout" in done.stderr
