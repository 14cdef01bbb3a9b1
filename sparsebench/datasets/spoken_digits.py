"""Spoken digits in the layout of the Free Spoken Digit Dataset: ``{digit}_{speaker}_{number}.wav``, 8 kHz."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sparsebench.datasets import wav
from sparsebench.datasets.base import PARTS, Dataset, named, require_folder
from sparsebench.datasets.log_mel import SECONDS, log_mel, white_noise
from sparsebench.errors import InputError

NAME = "spoken digits"
RATE = 8000
CLASSES = tuple(map(str, range(10)))
HOW = (
    "The Free Spoken Digit Dataset (CC BY-SA 4.0) is a git repository of that name, 'free-spoken-digit-dataset':"
    " its folder 'recordings' is it"
)
_FILE = re.compile(r"(?P<digit>[^_]+)_(?P<speaker>.+)_(?P<number>\d+)\.wav", re.ASCII)
# Of each speaker and digit, by number: the usual test set, and what judges recipes.
_TEST = range(5)
_VALIDATION = range(5, 10)
_NOISES = 16


def load(folder: Path | None) -> Dataset:
    """Read a folder of recordings.

    Raises
    ------
    InputError
        If there is no such folder, a file is not called as it must be or cannot be read, or a digit is missing.
    UnavailableError
        If kaldi-native-fbank is not installed.
    """
    folder = require_folder(folder, NAME, HOW)
    paths = sorted(folder.glob("*.wav"))
    if not paths:
        raise InputError(f"{NAME}: no .wav file in '{folder}'. {HOW}")
    parsed = [_FILE.fullmatch(path.name) for path in paths]
    strange = [path for path, match in zip(paths, parsed, strict=True) if match is None]
    if strange:
        raise InputError(f"{NAME}: '{folder}' has {named(strange)}; files are called digit_speaker_number.wav")
    matches = [match for match in parsed if match is not None]
    wrong = [path for path, match in zip(paths, matches, strict=True) if match["digit"] not in CLASSES]
    if wrong:
        raise InputError(f"{NAME}: {named(wrong)} in '{folder}': what stands before the first _ is a digit, 0 to 9")
    read = [wav.read(path, RATE) for path in paths]
    resampled = sum(stored != RATE for _, stored in read)
    notes = [f"{resampled} of {len(read)} recordings were resampled to {RATE} Hz"] if resampled else []
    length = round(RATE * SECONDS)
    long = sum(len(samples) > length for samples, _ in read)
    if long:
        notes.append(f"{long} of {len(read)} recordings are longer than {SECONDS:g} s; their middle was taken")
    return Dataset(
        NAME,
        CLASSES,
        log_mel((wav.centred(samples, length) for samples, _ in read), RATE),
        np.array([CLASSES.index(match["digit"]) for match in matches], np.int64),
        np.array([_part(int(match["number"])) for match in matches], np.uint8),
        tuple(match["speaker"] for match in matches),
        white_noise(_NOISES, RATE),
        tuple(notes),
        folder,
    )


def _part(number: int) -> int:
    if number in _TEST:
        return PARTS.index("test")
    return PARTS.index("validation" if number in _VALIDATION else "train")
