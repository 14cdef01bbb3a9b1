"""Commits as builds, in a repository of two commits whose package is empty but for what a build needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sparsebench.bench import checkout
from sparsebench.bench.ab_worker import PROTOCOL
from sparsebench.bench.checkout import BuildError, Commit, build, default_base, repository, resolve, working_tree
from sparsebench.errors import InputError

SETUP = """
import os, sys
from pathlib import Path
from setuptools import setup
if "broken" in Path("sparsebench/registry.py").read_text():
    sys.exit("error: it is broken")
Path("sparsebench/level.py").write_text(f"LEVEL = {os.environ['SPARSEBENCH_LEVELS']!r}")
setup(name="sparsebench", version="0", packages=["sparsebench", "sparsebench.bench"])
"""

# What wheels are made with without the package 'wheel'.
PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
"""


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, subject: str, **files: str) -> str:
    for name, text in files.items():
        (folder / "sparsebench" / f"{name}.py").write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commits 'before ab' and 'first' on main, 'second' on the branch topic, which is checked out."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@invalid")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "repo"
    (folder / "sparsebench" / "bench").mkdir(parents=True)
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "repo")
    (folder / "setup.py").write_text(SETUP)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / ".gitignore").write_text("*.so\n")
    (folder / "sparsebench" / "bench" / "__init__.py").touch()
    commit(folder, "before ab", __init__="", registry="")
    (folder / checkout.WORKER).write_text(f"PROTOCOL = {PROTOCOL}\n")
    commit(folder, "first")
    git(folder, "switch", "--quiet", "-c", "topic")
    commit(folder, "second", registry="FAST = True")
    return folder


def heard() -> tuple[list[str], object]:
    said: list[str] = []
    return said, lambda commit, log: said.append(commit.sha)


def test_a_clean_working_tree_is_its_commit(repo: Path) -> None:
    (repo / "notes.txt").write_text("not part of a build")
    (repo / "sparsebench" / "built.so").write_text("ignored")
    found = working_tree(repo)
    assert (found.sha, found.subject, found.dirty) == (git(repo, "rev-parse", "HEAD"), "second", False)


def test_changes_make_a_snapshot_and_leave_the_repository_alone(repo: Path) -> None:
    (repo / "sparsebench" / "registry.py").write_text("FAST = False")
    (repo / "sparsebench" / "new.py").write_text("")
    before = git(repo, "status", "--porcelain"), git(repo, "stash", "list"), git(repo, "branch")
    found = working_tree(repo)
    assert found.dirty and found.name == "working tree"
    assert git(repo, "show", f"{found.sha}:sparsebench/registry.py") == "FAST = False"
    assert git(repo, "cat-file", "-t", f"{found.sha}:sparsebench/new.py") == "blob"
    assert working_tree(repo).sha == found.sha, "one working tree is one build"
    assert (git(repo, "status", "--porcelain"), git(repo, "stash", "list"), git(repo, "branch")) == before
    (repo / "sparsebench" / "new.py").unlink()
    assert working_tree(repo).sha != found.sha


def test_a_deleted_file_is_a_change(repo: Path) -> None:
    (repo / "sparsebench" / "registry.py").unlink()
    assert "registry.py" not in git(repo, "ls-tree", "--name-only", f"{working_tree(repo).sha}:sparsebench")


def test_the_default_base_is_where_the_branch_began(repo: Path) -> None:
    base = default_base(repo, working_tree(repo))
    assert (base.subject, base.name) == ("first", "merge base with main")
    (repo / "sparsebench" / "registry.py").write_text("FAST = None")
    uncommitted = default_base(repo, working_tree(repo))
    assert (uncommitted.subject, uncommitted.name) == ("second", "HEAD")


def test_without_a_change_there_is_nothing_to_compare(repo: Path) -> None:
    git(repo, "switch", "--quiet", "main")
    with pytest.raises(InputError, match="nothing has changed since the merge base with main"):
        default_base(repo, working_tree(repo))


def test_without_a_main_branch_the_base_must_be_named(repo: Path) -> None:
    git(repo, "branch", "--quiet", "-m", "main", "trunk")
    with pytest.raises(InputError, match="name the base with --base"):
        default_base(repo, working_tree(repo))


def test_unrelated_histories_have_no_merge_base(repo: Path) -> None:
    git(repo, "switch", "--quiet", "--orphan", "other")
    (repo / "sparsebench").mkdir()
    with pytest.raises(InputError, match="no common commit here"):
        default_base(repo, Commit("HEAD", commit(repo, "alone", registry=""), "alone"))


def test_what_cannot_be_resolved_is_bad_input(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'nowhere' is no commit of .*git fetch --unshallow"):
        resolve(repo, "nowhere")
    with pytest.raises(InputError, match="'--all' is no commit"):
        resolve(repo, "--all")
    with pytest.raises(InputError, match="is not in a git checkout"):
        repository(tmp_path)
    assert repository(repo / "sparsebench") == repo.resolve()
    (repo / "setup.py").unlink()
    with pytest.raises(InputError, match="is not a checkout of sparsebench"):
        repository(repo)


def test_a_side_that_cannot_be_driven_is_refused_before_it_is_built(repo: Path) -> None:
    checkout.require_drivable(repo, resolve(repo, "HEAD"))
    with pytest.raises(InputError, match=r"before ab: older than 'sparsebench ab', it has no .*ab_worker\.py"):
        checkout.require_drivable(repo, resolve(repo, "HEAD~2"))
    (repo / checkout.WORKER).write_text(f"PROTOCOL = {PROTOCOL + 1}\n")
    with pytest.raises(InputError, match=f"speaks version {PROTOCOL + 1} of the protocol, this sparsebench {PROTOCOL}"):
        checkout.require_drivable(repo, working_tree(repo))


def test_a_commit_is_built_once(repo: Path) -> None:
    said, starting = heard()
    folder = build(repo, resolve(repo, "main"), "v3", starting)
    assert (folder / "sparsebench" / "registry.py").read_text() == ""
    assert (folder / "sparsebench" / "level.py").read_text() == "LEVEL = 'v3'"
    assert build(repo, resolve(repo, "main"), "v3", starting) == folder
    assert said == [git(repo, "rev-parse", "main")]
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}.log"]
    assert git(repo, "status", "--porcelain") == "" and git(repo, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize(
    ("wanted", "here"),
    [
        ("", True),
        ("'pytest>=8'", True),
        ("'pytest>=8', 'pytest>=9999'", False),
        ("'no-such-package'", False),
        ("'no-such-package; python_version < \"3\"'", True),
    ],
)
def test_builds_use_this_environment_where_it_has_what_they_want(wanted: str, here: bool, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[build-system]\nrequires = [{wanted}]\n")
    assert checkout.builds_here(tmp_path) is here


@pytest.mark.parametrize("text", [None, "", "[build-system", "[build-system]\nrequires = ['??']"])
def test_where_nothing_says_what_a_build_wants_pip_decides(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    assert not checkout.builds_here(tmp_path)


def test_another_level_compiler_or_flag_is_another_build(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = resolve(repo, "HEAD")
    found = {
        checkout.folder_of(head, "v3"),
        checkout.folder_of(head, "v4"),
        checkout.folder_of(resolve(repo, "main"), "v3"),
    }
    monkeypatch.setenv("CFLAGS", "-O1")
    found.add(checkout.folder_of(head, "v3"))
    assert len(found) == 4
    assert len({len(str(folder)) for folder in found}) == 1, "the length of PYTHONPATH moves the stack"


def test_a_build_that_fails_names_its_log_and_leaves_nothing_to_use(repo: Path) -> None:
    (repo / "sparsebench" / "registry.py").write_text("broken")
    head = working_tree(repo)
    said, starting = heard()
    for _ in range(2):
        with pytest.raises(BuildError, match=r"working tree.*does not build .*; see (.*\.log)") as raised:
            build(repo, head, "v3", starting)
    assert said == [head.sha] * 2
    log = Path(str(raised.value).rpartition("see ")[2])
    assert "error: it is broken" in log.read_text()
    assert [path.name for path in log.parent.iterdir()] == [log.name]


def test_a_cache_that_cannot_be_written_is_bad_input(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPARSEBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot build in .*SPARSEBENCH_CACHE"):
        build(repo, resolve(repo, "HEAD"), "v3", lambda commit, log: None)


def test_builds_that_were_used_last_are_kept(tmp_path: Path) -> None:
    for number in range(checkout.KEPT_BUILDS + 3):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}.log").touch()
        os.utime(tmp_path / f"{number}", (number, number))
    (tmp_path / "unfinished-now").mkdir()
    (tmp_path / "unfinished-killed").mkdir()
    os.utime(tmp_path / "unfinished-killed", (0, 0))
    checkout.discard_old(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    gone = {f"{number}{end}" for number in range(3) for end in ("", ".log")}
    assert not left & gone
    assert len(left) == 2 * checkout.KEPT_BUILDS + 1 and "unfinished-now" in left
