"""The poster's claims on accuracy, and what a study says of them: C7, C9 and C10."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sparsebench.accuracy.paired import Estimate, verdict
from sparsebench.patterns import Block, Complementary, parse_pattern
from sparsebench.report.accuracy.cohorts import DENSE, Cohort, Study, act_text, sparsity_text
from sparsebench.report.cells import Cell, Row, Table

_KEPT, _LOST = "loses nothing", "loses"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, and the difference of accuracies that bears on it.

    Attributes
    ----------
    says
        `_KEPT` or `_LOST`: what `who` does beside `against`.
    """

    name: str
    who: str
    says: str
    against: str
    difference: Estimate

    @property
    def answer(self) -> str:
        """Whether it holds, does not hold or is undecided."""
        found = verdict(self.difference)
        if found == "undecided":
            return found
        # A loss that is there, however small, is one; none, and one of less than a point, are not.
        return "holds" if (found == "worse") == (self.says == _LOST) else "does not hold"


def claims(study: Study) -> Iterator[Table]:
    """Yield the claims that each setting can say something of."""
    for split, density in study.settings():
        found = list(_claims(study, split, density))
        if found:
            yield Table(
                f"claims, {split}, {sparsity_text(density)}",
                "difference of accuracies in percent points, paired, with half of its 95 % interval",
                ("", "claim", "beside"),
                ("points", "verdict"),
                tuple(_row(claim) for claim in found),
            )


def _row(claim: Claim) -> Row:
    value = Cell(f"{100 * claim.difference.mean:+.2f}", f"±{100 * claim.difference.half:.2f}")
    return Row((claim.name, f"{claim.who} {claim.says}", claim.against), (value, Cell(claim.answer)))


def _claims(study: Study, split: str, density: float) -> Iterator[Claim]:
    cohorts = study.within(split, density)
    plain = [cohort for cohort in cohorts if cohort.act_density == 1 and cohort.pattern != DENSE]
    complementary = [cohort for cohort in plain if _is_complementary(cohort)]
    unstructured = study.find(split, "unstructured", density)
    for cohort in complementary:
        if found := cohort.less(unstructured):
            yield Claim("C9", cohort.pattern, _KEPT, "unstructured", found)
    blocks = [(cohort, pattern) for cohort in plain if isinstance(pattern := parse_pattern(cohort.pattern), Block)]
    if blocks:
        cohort, largest = max(blocks, key=lambda pair: pair[1].rows * pair[1].cols)
        if found := cohort.less(unstructured):
            yield Claim("C9", str(largest), _LOST, "unstructured", found)
    for cohort in complementary:
        if found := cohort.less(study.find(split, cohort.pattern, density, start="pruned")):
            yield Claim("C10", f"{cohort.pattern}, static,", _KEPT, "pruned", found)
    dense = study.find(split, DENSE, 1.0)
    for cohort in cohorts:
        if cohort.act_density < 1 and _is_complementary(cohort) and (found := cohort.less(dense)):
            yield Claim("C7", f"{cohort.pattern}, {act_text(cohort.act_density)},", _KEPT, "dense, ReLU", found)


def _is_complementary(cohort: Cohort) -> bool:
    return cohort.pattern != DENSE and isinstance(parse_pattern(cohort.pattern), Complementary)
