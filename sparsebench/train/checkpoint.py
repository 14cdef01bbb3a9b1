"""The state of a training on disk: all that the next epoch depends on, replaced as a whole."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sparsebench.errors import InputError, StorageError
from sparsebench.records import FRESH

VERSION = 1


@dataclass(frozen=True, eq=False)
class State:
    """What a training changes."""

    module: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    generator: Generator


def save(path: Path, state: State, identity: str, epochs: int, seconds: float) -> None:
    """Write the state after so many epochs, atomically; raises StorageError if it cannot be written."""
    content = {
        "version": VERSION,
        "identity": identity,
        "epochs": epochs,
        "seconds": seconds,
        "module": state.module.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "schedule": state.schedule.state_dict(),
        "generator": state.generator.get_state(),
    }
    fresh = path.with_name(path.name + FRESH)
    try:
        with fresh.open("wb") as stream:
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except (OSError, RuntimeError) as error:
        # PyTorch says of a full disk what it could not write, as RuntimeError.
        with suppress(OSError):
            fresh.unlink()
        raise StorageError(f"cannot write {path}: {error}; trainings that were finished before are kept") from error


def resume(path: Path, state: State, identity: str) -> tuple[int, float]:
    """Bring a state to that of a checkpoint, if there is one; returns the epochs and seconds that are behind it.

    Raises
    ------
    InputError
        If it is damaged, or of another training.
    """
    if not path.exists():
        return 0, 0.0
    content = _read(path)
    if content["identity"] != identity:
        raise InputError(
            f"{path} is the checkpoint of another network or recipe: {content['identity']!r}, where this is"
            f" {identity!r}; remove it to train from the start"
        )
    try:
        state.module.load_state_dict(content["module"])
        state.optimizer.load_state_dict(content["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is the checkpoint of another network: {error}") from error
    state.schedule.load_state_dict(content["schedule"])
    state.generator.set_state(content["generator"])
    return content["epochs"], content["seconds"]


def _read(path: Path) -> dict[str, Any]:
    try:
        content: Any = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} is damaged: {error}; remove it to train from the start") from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise InputError(f"{path} is no checkpoint that this sparsebench reads; remove it to train from the start")
    return content
