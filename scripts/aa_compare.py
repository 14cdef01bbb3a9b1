"""How often ``sparsebench compare`` cries wolf, and how often it sees one: comparisons whose right answer is known.

Three commits as those of aa_ab.py, each with a build of its own, run a suite PAIRS times each: two that are the same,
and one in which one more kernel (slower_csr_matmul.pyx) takes 8 % longer. The first is compared with both others, by
kernels and case by case; whatever is called slower or faster, but for that kernel, is a false alarm. Runs that are in
DIR already are not made again, and one that was interrupted is finished::

    python scripts/aa_compare.py smoke --pairs 20 --out reports/aa-compare

With ``--noise N`` so many more runs of the first commit give each case its noise floor, as ``sparsebench noise`` does.
Called once without and once with it, the script judges the same pairs both ways.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from aa_ab import NAME, ROOT, commit

from sparsebench import isa
from sparsebench.bench.checkout import build, repository, resolve
from sparsebench.noise import Noise, from_runs
from sparsebench.report.compare import Change, Comparison, compare
from sparsebench.run_folder import RunFolder

# False alarms that are named, of one comparison.
SHOWN = 3


def builds(slower: float) -> dict[str, Path]:
    """Return the build of each side; a build that the cache has is used again."""
    repo, level = repository(ROOT), isa.active()
    shas = {"base": commit("same 1", 0.0), "same": commit("same 2", 0.0)}
    shas["slower"] = commit(f"{NAME} {slower:.0%} slower", slower)
    return {
        side: build(
            repo, resolve(repo, sha), level, lambda commit, _: print(f"building {commit.label}", file=sys.stderr)
        )
        for side, sha in shas.items()
    }


def measured(site: Path, folder: Path, arguments: Sequence[str]) -> RunFolder:
    """Return the run in a folder, made or finished by a build in a fresh process where it is not there as a whole."""
    if not (folder / "run.json").exists():
        made = [*arguments, "--out", str(folder)]
    elif "finished" not in RunFolder.open(folder).run:
        made = ["--resume", str(folder)]
    else:
        return RunFolder.open(folder)
    command = [sys.executable, "-P", "-m", "sparsebench", "run", *made, "--quiet"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(site)}, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}")
    return RunFolder.open(folder)


def called(changes: Sequence[Change], injected: bool) -> tuple[list[Change], list[Change]]:
    """Return what was called slower or faster wrongly, and rightly."""
    found = [change for change in changes if change.verdict in ("slower", "faster")]
    right = [change for change in found if injected and change.kernel == NAME and change.verdict == "slower"]
    return [change for change in found if change not in right], right


def row(comparison: Comparison, injected: bool) -> Iterator[str]:
    """Yield the cells of a line of the table, but for the first."""
    yield str(comparison.exit_code)
    for changes in (comparison.kernels, comparison.cases):
        counts = Counter(change.verdict for change in changes)
        yield " / ".join(str(counts[name]) for name in ("slower", "faster", "same", "ambiguous", "unknown"))
    slowed = next((change.factor for change in comparison.kernels if change.kernel == NAME), None)
    if slowed is None or slowed.low is None or slowed.high is None:
        yield ""
    else:
        yield " .. ".join(f"{100 * (factor - 1):+.1f} %" for factor in (slowed.low, slowed.estimate, slowed.high))
    wrong, _ = called((*comparison.kernels, *comparison.cases), injected)
    named = [f"{change.kernel} {change.place} {change.factor.estimate:.3f}" for change in wrong[:SHOWN]]
    yield "; ".join([*named, f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else named)


def main() -> None:
    """Make the runs that are missing, and print all comparisons as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20, help="comparisons of each kind")
    parser.add_argument("--slower", type=float, default=0.08, help="injected slowdown, as a share")
    parser.add_argument("--out", type=Path, default=Path("reports/aa-compare"), metavar="DIR")
    parser.add_argument("--noise", type=int, default=0, metavar="N", help="runs for noise floors, 3 or more; 0: none")
    options, arguments = parser.parse_known_args()
    arguments = arguments or ["smoke"]
    options.out.mkdir(parents=True, exist_ok=True)
    sites = builds(options.slower)
    noise = None
    if options.noise:
        folders = [(options.out / f"noise-{number}").resolve() for number in range(1, options.noise + 1)]
        found = from_runs([measured(sites["base"], folder, arguments) for folder in folders])
        noise = Noise({case.key: case for case in found})
    print(f"| comparison | exit code | kernels: s / f / = / ? / - | cases: s / f / = / ? / - | {NAME} | false alarms |")
    print("|---|---:|---|---|---|---|")
    alarms, seen, seen_case = Counter[str](), 0, 0
    for number in range(1, options.pairs + 1):
        # Whichever side comes first: a machine that warms up or fills up is no help to either.
        order = list(sites) if number % 2 else list(reversed(sites))
        runs = {side: measured(sites[side], (options.out / f"{side}-{number}").resolve(), arguments) for side in order}
        for kind in ("same", "slower"):
            injected = kind == "slower"
            comparison = compare(runs["base"], runs[kind], noise=noise)
            wrong, _ = called((*comparison.kernels, *comparison.cases), injected)
            alarms[kind] += bool(wrong)
            seen += bool(called(comparison.kernels, injected)[1])
            seen_case += bool(called(comparison.cases, injected)[1])
            print(f"| {kind} {number} | {' | '.join(row(comparison, injected))} |", flush=True)
    print("\ns / f / = / ? / -: how many slower, faster, same, ambiguous, unknown.\n")
    print(f"False alarms in {alarms['same']} of {options.pairs} comparisons of the same, and in {alarms['slower']} of")
    print(f"{options.pairs} with a slowdown of {options.slower:.0%} of {NAME}, which was seen in {seen}, and in one of")
    print(f"its cases alone in {seen_case}.")


if __name__ == "__main__":
    main()
