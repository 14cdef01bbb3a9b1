"""Commits of a checkout as installations of their own: resolved, unpacked, built once and kept.

A build is keyed by commit, Python, compiler, Cython and instruction-set level. It is ``git archive`` unpacked and
``pip install --no-deps --target`` into a folder of the cache, so that the repository gains no worktree and the user's
environment no package; workers find it by PYTHONPATH, and both sides use the libraries of the environment that runs.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time

from packaging.requirements import InvalidRequirement, Requirement

from sparsebench.bench.ab_worker import PROTOCOL
from sparsebench.cache import cache_folder
from sparsebench.errors import InputError

WORKER = "sparsebench/bench/ab_worker.py"
# What of a working tree belongs to a build, also where git does not know it yet.
_SOURCES = ("sparsebench", "pyx", "suites")
# Whatever the date and whoever runs it, one working tree is one commit.
_FIXED = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "sparsebench", "EMAIL": "ab@invalid", "DATE": "2000-01-01T00:00:00Z"}.items()
}
_MAIN = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
KEPT_BUILDS = 16
_UNFINISHED = "unfinished-"
# No build takes a day.
_ABANDONED_S = 86400.0
# Variables that change what is compiled.
_FLAGS = ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "SPARSEBENCH_NATIVE", "SPARSEBENCH_DEBUG")


class BuildError(RuntimeError):
    """A commit does not build; the message names the log."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to be measured.

    Attributes
    ----------
    name
        As the user named it, or how it was found: ``HEAD~1``, ``merge base with origin/main``, ``working tree``.
    sha
        40 hexadecimal digits; of a snapshot where the working tree differs from its last commit.
    subject
        First line of its message.
    dirty
        Whether it is a snapshot of a working tree with changes that are not committed.
    """

    name: str
    sha: str
    subject: str
    dirty: bool = False

    @property
    def label(self) -> str:
        """The commit in a line: ``1a2b3c4d5e (HEAD~1) Faster tiles``."""
        named = "" if self.sha.startswith(self.name) else f"({self.name}) "
        return f"{self.sha[:10]} {named}{self.subject}"


def _git(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=os.environ | (env or {}),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise InputError("'sparsebench ab' needs git, which is not installed") from None


def _output(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Return what a git command prints; its failure is an InputError with its own words."""
    done = _git(folder, *arguments, env=env)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"git {arguments[0]} failed in '{folder}': {said}")
    return done.stdout.strip()


def repository(folder: Path) -> Path:
    """Return the top folder of the checkout that `folder` lies in.

    Raises
    ------
    InputError
        If it lies in none, or the checkout is not one of sparsebench.
    """
    done = _git(folder, "rev-parse", "--show-toplevel")
    if done.returncode:
        raise InputError(f"'{folder}' is not in a git checkout; run 'sparsebench ab' in one of sparsebench")
    top = Path(done.stdout.strip())
    if not (top / "setup.py").is_file() or not (top / "sparsebench" / "registry.py").is_file():
        raise InputError(f"'{top}' is not a checkout of sparsebench: it has no sparsebench/registry.py")
    return top


def resolve(repo: Path, revision: str, name: str = "") -> Commit:
    """Return the commit that a revision names.

    Raises
    ------
    InputError
        If there is no such commit.
    """
    done = _git(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode:
        raise InputError(
            f"'{revision}' is no commit of '{repo}'; in a shallow clone, fetch it: git fetch --unshallow"
            " (in GitHub Actions: fetch-depth: 0)"
        )
    sha = done.stdout.strip()
    return Commit(name or revision, sha, _output(repo, "log", "-1", "--format=%s", sha))


def working_tree(repo: Path) -> Commit:
    """Return HEAD, or a snapshot of the working tree where its sources differ from HEAD's.

    The snapshot is a commit that no branch holds: git discards it in time. New files count where a build would see
    them, in ``sparsebench``, ``pyx`` and ``suites``, unless git ignores them.
    """
    head = resolve(repo, "HEAD")
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        _output(repo, "read-tree", head.sha, env=index)
        _output(repo, "add", "--update", "--", ".", env=index)
        new = [name for name in _SOURCES if (repo / name).is_dir()]
        _output(repo, "add", "--all", "--", *new, env=index)
        tree = _output(repo, "write-tree", env=index)
    if tree == _output(repo, "rev-parse", f"{head.sha}^{{tree}}"):
        return head
    sha = _output(repo, "commit-tree", tree, "-p", head.sha, "-m", "working tree", env=_FIXED)
    return Commit("working tree", sha, f"with changes since {head.sha[:10]} {head.subject}", dirty=True)


def default_base(repo: Path, head: Commit) -> Commit:
    """Return the last commit where `head` has changes that are not committed; else the merge base with the main branch.

    Raises
    ------
    InputError
        If there is no such branch, they have no common commit, or it is `head` itself.
    """
    if head.dirty:
        return resolve(repo, f"{head.sha}^", "HEAD")
    branches = [name for name in _MAIN if _git(repo, "rev-parse", "--verify", "--quiet", name).returncode == 0]
    if not branches:
        raise InputError(f"no branch {', '.join(_MAIN)} in '{repo}': name the base with --base")
    branch = branches[0]
    done = _git(repo, "merge-base", branch, head.sha)
    if done.returncode:
        raise InputError(f"{branch} and {head.name} have no common commit here (shallow clone?): name one with --base")
    base = resolve(repo, done.stdout.strip(), f"merge base with {branch}")
    if base.sha == head.sha:
        raise InputError(f"nothing has changed since the {base.name}, {base.sha[:10]}: name another commit with --base")
    return base


def require_drivable(repo: Path, commit: Commit) -> None:
    """Refuse, before it is built, a commit whose worker this program cannot drive.

    Raises
    ------
    InputError
        If it is older than ``sparsebench ab``, or speaks another version of its protocol.
    """
    done = _git(repo, "show", f"{commit.sha}:{WORKER}")
    if done.returncode:
        raise InputError(f"{commit.label}: older than 'sparsebench ab', it has no {WORKER}; choose a later commit")
    found = re.search(r"^PROTOCOL = (\d+)$", done.stdout, re.MULTILINE)
    spoken = int(found[1]) if found else None
    if spoken != PROTOCOL:
        raise InputError(
            f"{commit.label}: its worker speaks version {spoken} of the protocol, this sparsebench {PROTOCOL};"
            " compare runs of the two instead: sparsebench compare"
        )


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0]
    except OSError:
        return ""


def _toolchain() -> list[str]:
    """Return all that decides what a commit is compiled to, but for the commit and the level."""
    # The whole command: 'ccache gcc --version' is gcc's.
    compiler = shlex.split(os.environ.get("CC", sysconfig.get_config_var("CC") or "cc"))
    tools = [f"{name} {_installed(name)}" for name in ("cython", "setuptools")]
    flags = [f"{name}={os.environ[name]}" for name in _FLAGS if name in os.environ]
    return [sys.version, sysconfig.get_platform(), _said(*compiler, "--version"), *tools, *flags]


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def builds_here(source: Path) -> bool:
    """Return whether this environment has all that pyproject.toml of a folder of sources wants to be built with.

    Of a file that says nothing, or nothing that can be read, pip is to judge.
    """
    try:
        text = (source / "pyproject.toml").read_text(encoding="utf-8")
        wanted = [Requirement(line) for line in tomllib.loads(text)["build-system"]["requires"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError, InvalidRequirement):
        return False
    return all(
        (version := _installed(each.name)) is not None and each.specifier.contains(version, prereleases=True)
        for each in wanted
        if each.marker is None or each.marker.evaluate()
    )


def builds_folder() -> Path:
    """Return the folder of the cache that holds builds."""
    return cache_folder() / "ab"


def folder_of(commit: Commit, level: str) -> Path:
    """Return where the build of a commit is, or will be."""
    toolchain = hashlib.sha256("\n".join([*_toolchain(), level]).encode()).hexdigest()
    # Of one length for all: the length of PYTHONPATH moves a process's stack, and with it, times.
    return builds_folder() / f"{commit.sha}-{toolchain[:8]}"


def build(repo: Path, commit: Commit, level: str, starting: Callable[[Commit, Path], None]) -> Path:
    """Return the folder from which workers import this commit's sparsebench, building it if it is not there yet.

    Parameters
    ----------
    level
        The only instruction-set level that is compiled, where the commit's setup.py can choose.
    starting
        Is told, with the path of the log, before something is compiled.

    Raises
    ------
    BuildError
        If the build fails.
    InputError
        If the cache cannot be written to.
    """
    folder = folder_of(commit, level)
    if folder.is_dir():
        os.utime(folder)
        return folder
    log = folder.with_name(folder.name + ".log")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_UNFINISHED) as unfinished:
            starting(commit, log)
            _compile(repo, commit, level, Path(unfinished), log)
            _keep(Path(unfinished) / "site", folder)
        discard_old(folder.parent)
    except OSError as error:
        raise InputError(f"cannot build in '{folder.parent}': {error.strerror}; see $SPARSEBENCH_CACHE") from error
    return folder


def _compile(repo: Path, commit: Commit, level: str, folder: Path, log: Path) -> None:
    """Unpack a commit into ``source`` of a folder and install it into ``site``."""
    archive = folder / "source.tar"
    _output(repo, "archive", "--format=tar", f"--output={archive}", commit.sha)
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "source", filter="data")
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    # Else pip fetches the build's requirements, at their newest.
    command += ["--no-build-isolation"] if builds_here(folder / "source") else []
    command += ["--target", str(folder / "site"), str(folder / "source")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # GIT_CEILING_DIRECTORIES: the build shall not take a repository around the cache for its own.
    environment |= {"SPARSEBENCH_LEVELS": level, "GIT_CEILING_DIRECTORIES": str(folder)}
    environment |= {"SPARSEBENCH_NATIVE": "1"} if level == "native" else {}
    with log.open("w", encoding="utf-8") as stream:
        stream.write(f"{shlex.join(command)}\n")
        stream.flush()
        done = subprocess.run(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False
        )
    if done.returncode:
        raise BuildError(f"{commit.label} does not build (pip ended with {done.returncode}); see {log}")
    if not (folder / "site" / WORKER).is_file():
        raise BuildError(f"{commit.label} builds, but without {WORKER}; see {log}")


def _keep(site: Path, folder: Path) -> None:
    try:
        site.rename(folder)
    except OSError:
        # Another 'ab' has built the same commit meanwhile.
        if not folder.is_dir():
            raise


def discard_old(builds: Path) -> None:
    """Remove all but the builds that were used last, with their logs, and what killed builds have left."""
    folders = sorted((p for p in builds.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime, reverse=True)
    finished = [path for path in folders if not path.name.startswith(_UNFINISHED)]
    killed = [p for p in folders if p not in finished and time() - p.stat().st_mtime > _ABANDONED_S]
    for path in (*finished[KEPT_BUILDS:], *killed):
        shutil.rmtree(path, ignore_errors=True)
        path.with_name(path.name + ".log").unlink(missing_ok=True)
