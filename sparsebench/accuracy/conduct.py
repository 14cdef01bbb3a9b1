"""Carries a study out: trains, judges and exports every network, one after another, then times some of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import torch

from sparsebench import nets
from sparsebench.accuracy import plan, speed
from sparsebench.accuracy.folder import WEIGHTS, AccuracyFolder
from sparsebench.accuracy.plan import Training
from sparsebench.accuracy.results import Status, TrainingResult
from sparsebench.accuracy.schema import Start, Study
from sparsebench.accuracy.variant import Variant
from sparsebench.bench.pool import Listener as BenchListener
from sparsebench.datasets import Dataset, part
from sparsebench.errors import EXIT_FAILED, EXIT_OK, EXIT_WRONG, InputError, StorageError
from sparsebench.nets import Sequential
from sparsebench.nets.toml_text import toml_text
from sparsebench.train import DivergedError, Epoch, Recipe, Task, agreement, fit, from_torch, judge, start, to_torch


class Listener(BenchListener, Protocol):
    """Is told how a study goes."""

    def training_started(self, training: Training, number: int, epochs: int) -> None:
        """Hear which training begins: the number of those of the study, from 1."""

    def epoch_finished(self, epoch: Epoch) -> None:
        """Hear of an epoch of the training that goes on."""

    def training_finished(self, result: TrainingResult) -> None:
        """Hear what became of it; it is on disk."""

    def timing_started(self, networks: int) -> None:
        """Hear that so many networks are about to be timed."""


@dataclass(frozen=True)
class Plan:
    """What a study will do, found possible before anything is trained.

    Attributes
    ----------
    base
        The network that variants are made of.
    """

    study: Study
    dataset: Dataset
    trainings: tuple[Training, ...]
    base: Sequential
    networks: Mapping[Variant, Sequential]
    validate: bool = False

    @classmethod
    def make(cls, study: Study, dataset: Dataset, where: str | None = None, *, validate: bool = False) -> Plan:
        """Expand a study on a data set.

        Raises
        ------
        InputError
            If something in it is wrong, or does not go with the data.
        """
        _require_effect(study, dataset)
        found = plan.trainings(study, dataset, where)
        base = nets.load(study.network)
        networks = plan.networks(found, study, base, dataset)
        for one in dict.fromkeys(training.start for training in found):
            _recipe(study, one)
        for network in networks.values():
            # Whether masks can be drawn, before hours have been spent on others.
            network.initialize(0)
        for fold in dict.fromkeys(training.fold for training in found):
            part(dataset, fold, validate=validate)
        return cls(study, dataset, tuple(found), base, networks, validate)


def _require_effect(study: Study, dataset: Dataset) -> None:
    """Raise InputError if the recipe changes samples in a way that these cannot be changed."""
    if study.recipe.noise_db is not None and dataset.noise is None:
        raise InputError(f"recipe.noise_db is for recordings; data set '{dataset.name}' has none")
    if (any(study.recipe.shift) or study.recipe.flip) and len(dataset.input_shape) != 3:
        raise InputError(f"recipe.shift and recipe.flip are for maps; data set '{dataset.name}' has features")


def execute(
    what: Plan, folder: AccuracyFolder, listener: Listener, *, threads: int, time: bool
) -> Iterator[TrainingResult]:
    """Do what is not finished; each result is on disk before it is yielded.

    Raises
    ------
    InputError
        If a checkpoint is of another training, or the network that another is pruned from is not there.
    StorageError
        If the disk is full or gone.
    """
    torch.set_num_threads(threads)
    finished = folder.finished()
    tasks: dict[str, Task] = {}
    for number, training in enumerate(what.trainings, 1):
        checkpoint = folder.checkpoint(training.name)
        if training.name in finished:
            # Left over where the study was killed just after that.
            checkpoint.unlink(missing_ok=True)
            continue
        if training.fold not in tasks:
            # One at a time: a task is a copy of the samples.
            tasks = {training.fold: Task.of(what.dataset, part(what.dataset, training.fold, validate=what.validate))}
        result = _conduct(what, training, number, tasks[training.fold], folder, listener)
        folder.append(result)
        checkpoint.unlink(missing_ok=True)
        listener.training_finished(result)
        yield result
    if time:
        speed.measure(what.trainings, folder, listener, listener.timing_started)
        folder.derive()
    folder.update(finished=datetime.now(UTC).isoformat(timespec="seconds"))


def _conduct(
    what: Plan, training: Training, number: int, task: Task, folder: AccuracyFolder, listener: Listener
) -> TrainingResult:
    recipe = _recipe(what.study, training.start)
    listener.training_started(training, number, recipe.epochs)
    network = what.networks[training.variant]
    if training.start == "static":
        network = start(network, training.seed)
    else:
        dense = _trained(what, training.dense, folder)
        if dense is None:
            return _result(
                training, "skipped", f"the dense network which it starts from, {training.dense.name}, is not ok"
            )
        network = network.prune(dense.parameters)
    module = to_torch(network)

    def log(epoch: Epoch) -> None:
        folder.log(training.name, _plain(epoch))
        listener.epoch_finished(epoch)

    identity = f"{training.name}: {json.dumps([str(layer) for layer in network.layers])} by {recipe}"
    checkpoint = folder.checkpoint(training.name)
    try:
        seconds = fit(module, task, recipe, training.seed, identity=identity, path=checkpoint, log=log)
    except DivergedError as error:
        return _result(training, "diverged", str(error))
    judged = judge(module, task)
    trained = from_torch(network, module)
    _keep(trained, training, folder)
    agreed = agreement(trained, task.judged(), judged.logits)
    errors = [f"mode {one.mode}: {one.error}" for one in agreed if one.error]
    return _result(
        training,
        "wrong" if errors else "ok",
        "; ".join(errors),
        accuracy=judged.accuracy,
        samples=len(judged.right),
        correct=np.packbits(judged.right).tobytes().hex(),
        nonzeros=sum(trained.nonzeros().values()),
        weights=sum(layer.size for layer in trained.layers if isinstance(layer, nets.Weighted)),
        reached=judged.reached,
        train_s=seconds,
        epochs=recipe.epochs,
        ties={one.mode: one.ties for one in agreed},
    )


def _recipe(study: Study, start: Start) -> Recipe:
    if start == "static":
        return Recipe(**study.recipe.fields())
    assert study.fine_tune is not None  # the plan was refused without it
    return Recipe(**study.recipe.fields(epochs=study.fine_tune.epochs, lr=study.fine_tune.lr))


def _plain(epoch: Epoch) -> dict[str, Any]:
    return {name: getattr(epoch, name) for name in ("epoch", "loss", "accuracy", "lr", "seconds")}


def _result(training: Training, status: Status, error: str = "", **values: Any) -> TrainingResult:
    return TrainingResult(name=training.name, **training.columns(), status=status, error=error, **values)  # type: ignore[arg-type]


def _keep(network: Sequential, training: Training, folder: AccuracyFolder) -> None:
    """Write a trained network: its description, named as it is, and its weights."""
    place = folder.network_folder(training.name)
    try:
        place.mkdir(exist_ok=True)
        (place / f"{network.name}.toml").write_text(
            toml_text(network, f"{network.name} trained as {training.name}"), encoding="utf-8"
        )
        network.save(place / WEIGHTS)
    except (OSError, InputError) as error:
        # What `save` calls an error of input is one of the disk here.
        raise StorageError(
            f"cannot write to {place}: {error}. When that is mended, go on with: sparsebench accuracy --resume"
            f" {folder.path}"
        ) from error


def _trained(what: Plan, training: Training, folder: AccuracyFolder) -> Sequential | None:
    """Return a network that was trained before; None if that did not end well."""
    results = {result.name: result for result in folder.results()}
    if results[training.name].status != "ok":
        return None
    return what.networks[training.variant].load(folder.network_folder(training.name) / WEIGHTS)


def exit_code(results: Sequence[TrainingResult]) -> int:
    """Exit code of a study: 3 where our kernels and PyTorch differ, 4 where one diverged or nothing was trained.

    One that was skipped follows from another, which has its own.
    """
    statuses = {result.status for result in results}
    if "wrong" in statuses:
        return EXIT_WRONG
    return EXIT_FAILED if "diverged" in statuses or "ok" not in statuses else EXIT_OK
