"""What a model would gain as tables: pure functions of what `sparsebench.report.what_if` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from sparsebench.bench.stats import Interval
from sparsebench.kernel import OURS
from sparsebench.report import tables_renderer, what_if_export
from sparsebench.report import what_if_notes as notes
from sparsebench.report.cells import Cell, Row, Table, mark_best, shortened
from sparsebench.report.frame import sparsity_text
from sparsebench.report.metrics import duration, number, spread
from sparsebench.report.what_if import Choice, EngineTime, Setting, Shape, Whole, record_of

# Operators with less of the engine's time are told together.
_TELL = 0.01
_MOST_TOLD = 8
# The layers that are listed take at least this share of the time of all dense ones.
_COVERED = 0.97
# Visits to the engine that differ by more say that the machine changed meanwhile.
_UNSTEADY = 0.1

# What `write` writes.
FORMATS = ("console", "markdown", "csv", "json")


def write(form: str, run: Mapping[str, Any], found: Sequence[Setting], stream: TextIO) -> None:
    """Write what was found in one of `FORMATS`."""
    if form == "csv":
        what_if_export.write_csv(run, found, stream)
    elif form == "json":
        what_if_export.write_json(run, found, stream)
    else:
        tables_renderer(form)(tables(run, found), stream)


def tables(run: Mapping[str, Any], found: Sequence[Setting]) -> list[Table]:
    """Make the tables of a run: the layers at each sparsity, the whole model, and where the engine's time goes."""
    model = record_of(run)
    made = []
    for setting in found:
        densities = dict.fromkeys(entry["density"] for entry in model["combinations"])
        made += [_layers(model, setting, density) for density in densities]
        made.append(_wholes(model, setting))
        if setting.engine is not None:
            made.append(_engine(model, setting, setting.engine))
    return made


def _title(model: Mapping[str, Any], setting: Setting, what: str) -> str:
    name = model["address"].rpartition("/")[2].partition("@")[0]
    threads = f"{setting.threads} thread{'s' if setting.threads > 1 else ''}"
    return f"{name}, {what}, {threads}, {setting.level}"


def _of_density(model: Mapping[str, Any], density: float | None) -> list[Mapping[str, Any]]:
    return [entry for entry in model["combinations"] if entry["density"] == density]


def _at(density: float | None) -> str:
    return "as stored" if density is None else f"{sparsity_text(density)} sparse"


def _layers(model: Mapping[str, Any], setting: Setting, density: float | None) -> Table:
    entries = _of_density(model, density)
    labels = [entry["label"] for entry in entries]
    shown = _weighty(setting)
    rest = len(setting.shapes) - len(shown)
    smaller = f"{rest} more shapes take the rest of the dense time, under {1 - _COVERED:.0%}: --format csv lists all"
    return Table(
        title=_title(model, setting, _at(density)),
        subtitle="speed-up of each layer over its fastest dense kernel, by pattern",
        labels=("layer", "shape"),
        columns=("dense", *(entry["pattern"] for entry in entries), "best", "kept"),
        rows=tuple(_layer_row(shape, labels) for shape in shown),
        notes=(
            *([smaller] if rest else []),
            "x3: three layers are alike, the first is named; dense: time and kernel; *: the best pattern;"
            " ±: half of the 95% interval; best: time in it, and the kernel if it is not ours; kept: share of the"
            " squared L2 norm of the weights that pruning keeps",
            *notes.reasons(setting, entries),
            *notes.uneven(setting),
        ),
    )


def _weighty(setting: Setting) -> list[Shape]:
    """Return the shapes that together take most of the dense time, in the model's order."""
    ranked = sorted(setting.shapes, key=lambda shape: -shape.uses * float(shape.dense_s[0]))
    taken, sum_s = set(), 0.0
    for shape in ranked:
        if sum_s >= _COVERED * setting.dense_s:
            break
        taken.add(id(shape))
        sum_s += shape.uses * float(shape.dense_s[0])
    return [shape for shape in setting.shapes if id(shape) in taken]


def _layer_row(shape: Shape, labels: Sequence[str]) -> Row:
    choices = [shape.choices.get(label) for label in labels]
    speedups = [None if choice is None else float(choice.speedup[0]) for choice in choices]
    cells = mark_best([_speedup_cell(choice) for choice in choices], speedups, "max")
    dense = Cell(duration(float(shape.dense_s[0])), shape.dense, kind="absolute")
    return Row(_layer_labels(shape), (dense, *cells, *_best_cells(shape, shape.best(labels))))


def _layer_labels(shape: Shape) -> tuple[str, str]:
    record = shape.record
    times = f" x{shape.uses}" if shape.uses > 1 else ""
    # Of a product the N, of a convolution the images where there are several.
    N = "" if record["op"] == "conv2d" and record["columns"] == 1 else f" N={record['columns']}"
    return f"{shortened(record['layers'][0], notes.NAME_WIDTH)}{times}", f"{record['text']}{N}"


def _speedup_cell(choice: Choice | None) -> Cell:
    if choice is None:
        return Cell("-", kind="absent")
    return Cell(number(float(choice.speedup[0])), _spread(choice.interval))


def _best_cells(shape: Shape, best: Choice | None) -> tuple[Cell, Cell]:
    if best is None or not best.pays:
        return Cell("dense", kind="absent"), Cell("", kind="absent")
    seconds = float(shape.dense_s[0] / best.speedup[0])
    rival = "" if best.case.provider == OURS else best.case.kernel
    return Cell(duration(seconds), rival, kind="absolute"), _kept(best.case.kept_l2)


def _kept(share: float | None) -> Cell:
    return Cell("", kind="absent") if share is None else Cell(f"{share:.2f}")


def _spread(found: Interval) -> str:
    return spread({"low": found.low, "value": found.estimate, "high": found.high}, "value", "low", "high")


def _wholes(model: Mapping[str, Any], setting: Setting) -> Table:
    engine = setting.engine
    columns = ["sparse", "time", "speed-up"]
    columns += ["model", "Amdahl", "engine"] if engine else []
    rows = [
        Row((_at(whole.density), whole.pattern), (*_whole_cells(whole, setting), _kept(whole.kept_l2)))
        for whole in setting.wholes
    ]
    said = [
        "sparse: how many layers are, one that a pattern makes no faster stays dense; time: of all measured ones"
        f" together; speed-up: theirs, over {duration(setting.dense_s)} dense",
    ]
    if engine:
        said.append(
            "model: those layers, and the rest as the engine runs it; Amdahl: speed-up over the dense layers and that"
            f" rest; engine: over the {duration(float(engine.seconds[0]))} of the dense model in ONNX Runtime"
            f" {engine.version}"
        )
        said += notes.explained(setting, engine)
    else:
        said.append(f"of the layers alone: {model['engine'].get('missing', 'the model was not run as a whole')}")
    said += notes.left_out(model, setting)
    said.append("kept is of the first layer of each shape; what the model's accuracy becomes it does not say")
    return Table(
        title=_title(model, setting, "the whole model"),
        subtitle="what becomes of it, by sparsity and pattern",
        labels=("sparsity", "pattern"),
        columns=(*columns, "kept"),
        rows=tuple(rows),
        notes=tuple(said),
    )


def _whole_cells(whole: Whole, setting: Setting) -> list[Cell]:
    gain = whole.gain
    cells = [
        Cell(f"{whole.sparse}/{setting.layers}"),
        Cell(duration(gain.after_s.estimate), _spread(gain.after_s), kind="absolute"),
        Cell(number(gain.layers.estimate), _spread(gain.layers)),
    ]
    if gain.model_s is not None:
        cells.append(Cell(duration(gain.model_s.estimate), _spread(gain.model_s), kind="absolute"))
    ratios = [found for found in (gain.amdahl, gain.over_engine) if found is not None]
    return [*cells, *(Cell(number(found.estimate), _spread(found)) for found in ratios)]


def _engine(model: Mapping[str, Any], setting: Setting, engine: EngineTime) -> Table:
    total = float(engine.seconds[0])
    parts = [("the layers measured here", engine.share.measured)]
    told = [(name, part) for name, part in engine.share.others.items() if part >= _TELL][:_MOST_TOLD]
    rest = 1 - engine.share.measured - sum(part for _, part in told)
    parts += told + ([("other operators", rest)] if rest > _TELL / 10 else [])
    rows = [Row((name,), (Cell(f"{part:.1%}"), Cell(duration(part * total)))) for name, part in parts]
    visits = ", ".join(map(duration, engine.visits))
    said = [f"measured before, between and after the layers: {visits}; shares are those of its profile's nodes"]
    if max(engine.visits) > (1 + _UNSTEADY) * min(engine.visits):
        said.append("these differ by more than 10%: the machine was not the same all the time")
    lost = {shape.record["layers"][0]: shape.uses - shape.engine_nodes for shape in setting.shapes}
    if any(lost.values()):
        first = shortened(next(name for name, count in lost.items() if count), notes.NAME_WIDTH)
        said.append(
            f"{sum(lost.values())} of {setting.layers} measured layers are no nodes of their own in it, of the shape of"
            f" {first} first: they count twice, as the layer and in what the engine made of them"
        )
    return Table(
        title=_title(model, setting, f"{duration(total)} in ONNX Runtime {engine.version}"),
        subtitle="where the time of the dense model goes",
        labels=("operator",),
        columns=("share", "time"),
        rows=tuple(rows),
        notes=tuple(said),
    )
