"""A study as tables: accuracies, paired differences, claims, and what reaches each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from sparsebench.accuracy.paired import Estimate
from sparsebench.accuracy.results import Timings, TrainingResult
from sparsebench.report.accuracy.claims import claims
from sparsebench.report.accuracy.cohorts import DENSE, Cohort, Study, act_text, sparsity_text
from sparsebench.report.cells import Cell, Row, Table

_NOTES = (
    "accuracy: mean over folds (seeds of a fold averaged first) or over seeds, with half of its 95 % interval: the"
    " wider of that over folds or seeds (Student) and that over the samples of the test",
    "differences: in percent points, paired by fold, seed and sample, with the same kind of interval; that something is"
    " lost holds where the whole interval lies below 0, that nothing is where it does not, and all of it lies above a"
    " loss of one point; else the claim is undecided",
    "times as fast: than the dense network with ReLU in our dense mode, one core, batch 1",
)


def make_tables(results: Sequence[TrainingResult], timings: Timings, warnings: Sequence[str] = ()) -> list[Table]:
    """Return the tables of a study that has finished trainings; notes for all are below the last."""
    study = Study.of(results, timings)
    settings = study.settings() or [(cohort.split, 1.0) for cohort in study.cohorts[:1]]
    tables = [
        *(_accuracies(study, *setting) for setting in settings),
        *_starts(study),
        *(_reached(study, *setting) for setting in settings),
        *claims(study),
    ]
    trouble = [f"{r.name}: {r.status}: {r.error}" for r in results if r.status != "ok"]
    closing = Table(
        "about these tables", "", ("",), (), (), notes=(*_NOTES, *trouble, *(f"warning: {one}" for one in warnings))
    )
    return [*tables, closing]


def points(found: Estimate | None) -> Cell:
    """Return a difference of accuracies in percent points, with its interval."""
    if found is None:
        return Cell("", kind="absent")
    return Cell(f"{100 * found.mean:+.2f}", f"±{100 * found.half:.2f}")


def _share(found: Estimate | None) -> Cell:
    if found is None:
        return Cell("failed", kind="trouble")
    return Cell(f"{100 * found.mean:.2f}", f"±{100 * found.half:.2f}")


def _accuracies(study: Study, split: str, density: float) -> Table:
    cohorts = study.within(split, density)
    good = [result for cohort in cohorts for result in cohort.good]
    folds, seeds = ({getattr(r, name) for r in good} for name in ("fold", "seed"))
    samples = sum({r.fold: r.samples for r in good}.values())
    uneven = len({len(cohort.good) for cohort in cohorts}) > 1
    return Table(
        f"accuracy, {split}, {sparsity_text(density)}",
        f"{samples:,} samples judge, in {len(folds)} fold{'s' if len(folds) > 1 else ''}; seeds {_listed(seeds)}"
        + (", of some patterns fewer: differences are between networks of the same seeds" if uneven else ""),
        ("pattern", "activations", *(("n",) if uneven else ())),
        ("%", "to dense", "to unstr.", "non-zeros", *(("us", "times as fast") if study.timings else ())),
        tuple(_accuracy_row(study, cohort, uneven) for cohort in cohorts),
    )


def _listed(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


def _accuracy_row(study: Study, cohort: Cohort, uneven: bool) -> Row:
    dense = study.find(cohort.split, DENSE, 1.0)
    to_dense = None if cohort is dense else cohort.less(dense)
    unstructured = study.find(cohort.split, "unstructured", cohort.density, cohort.act_density)
    to_unstructured = None if cohort is unstructured or cohort.pattern == DENSE else cohort.less(unstructured)
    nonzeros = next((result.nonzeros for result in cohort.good), None)
    speedup = study.speedup(cohort)
    mode = "dense" if cohort.pattern == DENSE and cohort.act_density == 1 else "sparse-sparse"
    seconds = study.seconds(cohort).get(mode)
    cells = [
        _share(cohort.mean()),
        points(to_dense),
        points(to_unstructured),
        Cell("" if nonzeros is None else f"{nonzeros:,}"),
    ]
    if study.timings:
        cells.append(Cell("" if seconds is None else f"{1e6 * seconds[0]:.1f}"))
        cells.append(Cell("", kind="absent") if speedup is None else Cell(f"{speedup.value:.2f}"))
    trained = (str(len(cohort.good)),) if uneven else ()
    return Row((cohort.pattern, act_text(cohort.act_density), *trained), tuple(cells))


def _starts(study: Study) -> Iterator[Table]:
    """Yield static masks against pruned networks, for each split and density that has both."""
    for split, density in study.settings():
        pruned = [c for c in study.within(split, density, "pruned") if c.pattern != DENSE]
        rows = []
        for cohort in pruned:
            static = study.find(split, cohort.pattern, density, cohort.act_density)
            difference = None if static is None else static.less(cohort)
            labels = (cohort.pattern, act_text(cohort.act_density))
            mean = static.mean() if static else None
            rows.append(Row(labels, (_share(mean), _share(cohort.mean()), points(difference))))
        if rows:
            yield Table(
                f"static mask against pruning a trained dense network, {split}, {sparsity_text(density)}",
                "static: trained in its mask from the start; pruned: dense training, pruned to the pattern, trained on",
                ("pattern", "activations"),
                ("static %", "pruned %", "static - pruned"),
                tuple(rows),
            )


def _reached(study: Study, split: str, density: float) -> Table:
    cohorts = [cohort for cohort in study.within(split, density) if cohort.mean()]
    layers = list(dict.fromkeys(name for cohort in cohorts for r in cohort.results for name in r.reached))
    rows = []
    for cohort in cohorts:
        shares = {name: [r.reached[name] for r in cohort.results if name in r.reached] for name in layers}
        cells = tuple(Cell(f"{fmean(found):.1%}" if found else "") for found in shares.values())
        rows.append(Row((cohort.pattern, act_text(cohort.act_density)), cells))
    return Table(
        f"what reaches each layer, {split}, {sparsity_text(density)}",
        "share of a layer's input that is not zero, over all that judges; pooling comes after k-winners",
        ("pattern", "activations"),
        tuple(layers),
        tuple(rows),
    )
