"""How often ``sparsebench ab`` cries wolf, and how often it sees one: comparisons whose right answer is known.

Two throw-away commits of one tree are compared PAIRS times, and whatever is called slower or faster is a false alarm.
So often, too, is the first compared with a third commit, in which one more kernel (slower_csr_matmul.pyx) takes 8 %
longer. Every commit has a build of its own. Comparisons that are in DIR already are not made again::

    python scripts/aa_ab.py smoke --pairs 20 --out reports/aa
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KERNEL = Path(__file__).with_name("slower_csr_matmul.pyx")
NAME = "slower-csr"


def git(*arguments: str, **environment: str) -> str:
    """Return what a git command prints."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(subject: str, slower: float) -> str:
    """Return a commit of HEAD's tree and the kernel; no branch holds it."""
    source = KERNEL.read_text(encoding="utf-8").replace("SLOWER = 0.0", f"SLOWER = {slower}")
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        (Path(folder) / KERNEL.name).write_text(source, encoding="utf-8")
        blob = git("hash-object", "-w", str(Path(folder) / KERNEL.name))
        git("read-tree", "HEAD", **index)
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},pyx/{KERNEL.name}", **index)
        tree = git("write-tree", **index)
    who = {f"GIT_{role}_{what}": "aa" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {f"GIT_{role}_DATE": "2000-01-01T00:00:00Z" for role in ("AUTHOR", "COMMITTER")}
    return git("commit-tree", tree, "-p", "HEAD", "-m", subject, **who, **dates)


def compare(base: str, head: str, arguments: list[str], folder: Path) -> dict[str, Any]:
    """Return what one comparison found, as its JSON has it."""
    found = folder.with_suffix(".json")
    if not found.exists():
        command = [sys.executable, "-P", "-m", "sparsebench", "ab", "--base", base, "--head", head, *arguments]
        command += ["--out", str(folder), "--format", "json", "-o", str(found), "--quiet"]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if not found.exists():
            sys.exit(f"{' '.join(command)} ended with exit code {code}")
    comparison: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return comparison


def row(kind: str, number: int, found: dict[str, Any]) -> tuple[bool, bool]:
    """Print a line of the table, and return whether there was a false alarm, and whether the slowdown was seen."""
    called = [case for case in found["cases"] if case["outcome"] in ("slower", "faster")]
    injected = kind == "slower"
    right = [case for case in called if injected and case["kernel"] == NAME and case["outcome"] == "slower"]
    wrong = [case for case in called if case not in right]
    slowed = [kernel for kernel in found["kernels"] if kernel["kernel"] == NAME]
    ratio = f"{100 * (slowed[0]['ratio'] - 1):+.1f} %" if slowed else ""
    named = "; ".join(f"{c['problem']} {c['kernel']} T={c['threads']} {c['change']['ratio']:.3f}" for c in wrong)
    counts = " | ".join(str(found["counts"].get(name, 0)) for name in ("slower", "faster", "same", "undecided"))
    print(f"| {kind} {number} | {found['exit_code']} | {counts} | {ratio} | {named} |", flush=True)
    return bool(wrong), bool(right)


def main() -> None:
    """Make the comparisons that are missing, and print all as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20, help="comparisons of each kind")
    parser.add_argument("--slower", type=float, default=0.08, help="injected slowdown, as a share")
    parser.add_argument("--out", type=Path, default=Path("reports/aa"), metavar="DIR")
    options, arguments = parser.parse_known_args()
    options.out.mkdir(parents=True, exist_ok=True)
    same = [commit(f"same {number}", 0.0) for number in (1, 2)]
    heads = {"same": same[1], "slower": commit(f"{NAME} {options.slower:.0%} slower", options.slower)}
    print(f"| comparison | exit code | slower | faster | same | undecided | {NAME} | false alarms |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    alarms, seen = {"same": 0, "slower": 0}, 0
    for number in range(1, options.pairs + 1):
        for kind, head in heads.items():
            folder = (options.out / f"{kind}-{number}").resolve()
            alarm, right = row(kind, number, compare(same[0], head, arguments or ["smoke"], folder))
            alarms[kind] += alarm
            seen += right
    print(
        f"\nFalse alarms in {alarms['same']} of {options.pairs} comparisons of the same, and in {alarms['slower']} of"
    )
    print(f"{options.pairs} with a slowdown of {options.slower:.0%}, which was seen in {seen}.")


if __name__ == "__main__":
    main()
