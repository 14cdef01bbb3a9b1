"""A model's layers and their zeros as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

from sparsebench.models.layer import Layer, Model
from sparsebench.models.zeros import Fit, Zeros
from sparsebench.patterns.complementary import LANES
from sparsebench.report.cells import Cell, Row, Table, shortened

# Patterns of which the table shows how well the zeros pack into them, by its heads; csv and json have all.
_SHOWN = {
    "rows": "rows",
    "cols": "columns",
    "1x4": "block/1x4",
    "16x1": "block/16x1",
    "4x4": "block/4x4",
    **{f"c{lanes}": f"complementary/{lanes}" for lanes in LANES},
}
# Columns between two others, and the narrowest name that still says something.
_GAP, _NARROWEST = 1, 12
_UNITS = ("", "k", "M", "G", "T")


def tables(model: Model, zeros: Sequence[Zeros], width: int | None = None) -> list[Table]:
    """Make a table of the layers and, where some have zeros, one of how they pack.

    Parameters
    ----------
    zeros
        One for each of `model.layers`.
    width
        Columns to fit into: names lose their middle; None: as long as they are.
    """
    made = [_layers(model, zeros, width)]
    sparse = [(layer, found) for layer, found in zip(model.layers, zeros, strict=True) if found.fits]
    if sparse:
        made.append(_packing(sparse, width))
    return made


def _layers(model: Model, zeros: Sequence[Zeros], width: int | None) -> Table:
    rows = []
    for layer, found in zip(model.layers, zeros, strict=True):
        cells = (
            "x".join(map(str, layer.shape)),
            "?" if layer.uses is None else f"{layer.uses:,}",
            "?" if layer.macs is None else amount(layer.macs),
            amount(layer.nbytes),
            percent(found.share),
            found.pattern,
        )
        rows.append(((layer.name, layer.operator or layer.op), cells))
    heads = ("shape", "N", "MACs", "bytes", "zeros", "pattern")
    return _table(_title(model), _totals(model, zeros), ("layer", "operator"), heads, rows, width, notes(model))


def _packing(sparse: Sequence[tuple[Layer, Zeros]], width: int | None) -> Table:
    rows = []
    for layer, found in sparse:
        fits = {fit.pattern: fit for fit in found.fits}
        low, middle, high = found.rows
        least = _best_n_of_m(found)
        cells = (
            f"{low}-{middle:g}-{high}",
            f"{least.pattern} {percent(least.efficiency, 0)}" if least else "-",
            *(percent(fits[name].efficiency, 0) for name in _SHOWN.values()),
        )
        rows.append(((layer.name,), cells))
    legend = (
        "non-zeros / values that a format of this pattern stores, rows and columns where they are: n:m the best that"
        " leaves anything out, whole rows and columns, blocks of rows x columns, c: complementary with 1 to 16 lanes",
        "per row: the smallest, median and largest number of non-zeros in a row",
    )
    title = "how the zeros pack"
    return _table(title, "non-zeros / stored values", ("layer",), ("per row", "n:m", *_SHOWN), rows, width, legend)


def _best_n_of_m(found: Zeros) -> Fit | None:
    fits = [fit for fit in found.fits if ":" in fit.pattern and fit.units < fit.of]
    return max(fits, key=lambda fit: fit.efficiency, default=None)


def _table(
    title: str,
    subtitle: str,
    labels: tuple[str, ...],
    heads: tuple[str, ...],
    rows: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
    width: int | None,
    said: tuple[str, ...],
) -> Table:
    """Build a table whose first column gives up what is too wide for the others."""
    if width is not None:
        taken = sum(_GAP + max([len(head), *(len(cells[at]) for _, cells in rows)]) for at, head in enumerate(heads))
        longest = max(len(names[0]) for names, _ in rows) if rows else 0
        for shorten in (str, _short):
            shown = [tuple(map(shorten, names[1:])) for names, _ in rows]
            room = (
                width - taken - sum(_GAP + max([len(labels[1]), *(len(part) for (part,) in shown)]) for _ in labels[1:])
            )
            if room >= longest:
                break
        room = max(room, _NARROWEST)
        rows = [
            ((shortened(names[0], room), *others), cells) for (names, cells), others in zip(rows, shown, strict=True)
        ]
    made = tuple(Row(names, tuple(map(Cell, cells))) for names, cells in rows)
    return Table(title, subtitle, labels, heads, made, notes=said)


def _short(operator: str) -> str:
    return operator.removesuffix("_CONV_2D").removesuffix("_2D").replace("FULLY_CONNECTED", "FULLY_CONN.")


def _title(model: Model) -> str:
    return f"{model.path.name}: {', '.join(map(str, model.inputs)) or model.format}"


def _totals(model: Model, zeros: Sequence[Zeros]) -> str:
    size, nnz = sum(found.size for found in zeros), sum(found.nnz for found in zeros)
    known = [layer.macs for layer in model.layers if layer.macs is not None]
    macs = "?" if len(known) < len(model.layers) or not known else amount(sum(known))
    useful = "" if macs == "?" else _useful(model.layers, zeros)
    stored = {layer.address: layer.nbytes for layer in model.layers}
    sparse = len({layer.address for layer in model.layers if layer.sparse})
    zero = f"{percent(1 - nnz / size)} zero" if size else "none zero"
    return (
        f"{len(model.layers)} layer{'' if len(model.layers) == 1 else 's'}, {size:,} weights of"
        f" {model.parameters:,} parameters, {zero}"
        f"{f' ({sparse} stored sparse)' if sparse else ''}, {macs} MACs{useful},"
        f" {amount(sum(stored.values()))} bytes"
    )


def _useful(layers: Sequence[Layer], zeros: Sequence[Zeros]) -> str:
    """Say how many multiply-adds are not by a zero, where that makes a difference."""
    useful = sum(found.nnz * (layer.uses or 0) for layer, found in zip(layers, zeros, strict=True))
    total = sum(layer.macs or 0 for layer in layers)
    return f" ({percent(1 - useful / total)} by zeros)" if useful < total else ""


def notes(model: Model) -> tuple[str, ...]:
    """Return what a reader of the listing must know: what the columns mean, what is missing and why."""
    said = ["N: columns of a product, of a convolution images x pixels of its output; MACs count those by zeros"]
    if model.skipped:
        counted = ", ".join(f"{count} {name}" for name, count in sorted(model.skipped.items()))
        said.append(f"not layers of ours, and in no total: {counted}")
    if model.open_sizes is not None and model.format != "safetensors":
        said.append(model.open_sizes)
    return (*said, *model.notes)


def amount(number: float) -> str:
    """Return a count in three digits and a letter: 117M, 2.65M, 864."""
    step = 0 if number < 1000 else min(int(log10(number)) // 3, len(_UNITS) - 1)
    scaled = number / 1000**step
    # 999.6 would be 1000 in three digits.
    if step and round(scaled) >= 1000 and step < len(_UNITS) - 1:
        step, scaled = step + 1, scaled / 1000
    digits = 0 if not step else max(0, 3 - ceil(log10(scaled + 0.005)) if scaled >= 1 else 2)
    return f"{scaled:.{digits}f}{_UNITS[step]}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share in per cent; what is not quite nothing or everything does not look like it."""
    least = 10**-digits
    if 0 < share < least / 200:
        return f"<{least:g}%"
    if 1 - least / 200 <= share < 1:
        return f">{100 - least:g}%"
    return f"{100 * share:.{digits}f}%"
