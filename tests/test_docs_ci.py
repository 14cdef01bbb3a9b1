"""Command lines in docs and in the example workflow are ones that the program understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from sparsebench import suite
from sparsebench.cli.app import app
from sparsebench.problem import Problem
from sparsebench.report.metrics import find

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / "examples" / "github-actions.yml"
PAGES = [ROOT / "docs" / name for name in ("accuracy.md", "ab.md", "ci.md", "comparing.md", "models.md")]
# Commands that this program has; lines of others are not looked at.
COVERED = (
    "ab",
    "accuracy",
    "baseline",
    "check",
    "compare",
    "history",
    "list",
    "model",
    "noise",
    "prune",
    "report",
    "run",
)
_ENDS_A_COMMAND = {"|", "||", "&&", ";", ">", ">>", "&"}


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return loaded


def in_workflow() -> Iterator[str]:
    for job in workflow()["jobs"].values():
        for step in job["steps"]:
            yield from step.get("run", "").splitlines()


def in_pages() -> Iterator[str]:
    for page in PAGES:
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            if not language:
                yield from block.splitlines()


def arguments(line: str) -> list[str]:
    """Return the words of a command, without comment, redirection, or what follows it."""
    words = shlex.shlex(re.sub(r"\$\{\{.*?\}\}", "VALUE", line), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    found = []
    for word in words:
        if word in _ENDS_A_COMMAND:
            break
        found.append(word)
    return found[1:]


def commands() -> list[str]:
    lines = [line.strip() for line in (*in_workflow(), *in_pages())]
    return [line for line in lines if line.startswith("sparsebench ") and line.split()[1] in COVERED]


def test_there_are_commands_to_look_at() -> None:
    assert {line.split()[1] for line in commands()} == set(COVERED)
    assert len(commands()) >= 10


@pytest.mark.parametrize("line", commands())
def test_a_command_line_is_understood(line: str) -> None:
    group: Any = typer.main.get_command(app)
    root = group.make_context("sparsebench", [], resilient_parsing=True)
    name, command, rest = group.resolve_command(root, arguments(line))
    # Parses and validates all options; nothing runs.
    given = command.make_context(name, rest).params
    for suite_name in given.get("suites") or ():
        suite.load(suite_name)
    problems = given.get("problem") or ()
    for problem in [problems] if isinstance(problems, str) else problems:
        Problem.parse(problem)


def test_a_line_that_is_wrong_is_noticed() -> None:
    with pytest.raises(Exception, match="No such option: --bsae"):
        test_a_command_line_is_understood("sparsebench ab smoke --bsae HEAD^1 || true")


def test_the_workflow_is_one_that_github_would_take() -> None:
    found = workflow()
    # YAML reads a bare 'on' as true.
    assert set(found[True]) == {"pull_request", "push"}
    for job in found["jobs"].values():
        assert job["runs-on"]
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
    checkout = found["jobs"]["slower"]["steps"][0]
    assert checkout["with"]["fetch-depth"] == 0


def test_the_tool_of_the_workflow_reads_what_it_exports() -> None:
    steps = [step for job in workflow()["jobs"].values() for step in job["steps"]]
    exports = [step["run"] for step in steps if "github-action-benchmark" in step.get("run", "")]
    tools = [step["with"]["tool"] for step in steps if "tool" in step.get("with", {})]
    assert len(exports) == 1 and "--metric" not in exports[0] and find("speedup").better == "max"
    assert tools == ["customBiggerIsBetter"]
