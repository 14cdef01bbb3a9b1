"""Google Speech Commands, v0.01 or v0.02 in its own folders: the task of 12 classes, split by the lists it comes with.

Ten words, all other words as "unknown", and "silence" cut from the background noises; of each of these two a tenth as
many as there are words, as in Warden 2018, "Speech Commands" (arXiv 1804.03209).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from sparsebench.datasets import wav
from sparsebench.datasets.base import PARTS, Dataset, require_folder
from sparsebench.datasets.log_mel import SECONDS, log_mel, white_noise
from sparsebench.errors import InputError

NAME = "Speech Commands"
RATE = 16000
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "_unknown_", "_silence_"
CLASSES = (SILENCE, UNKNOWN, *WORDS)
HOW = (
    "It is published by Google as archives speech_commands_v0.01 (1.5 GB) and v0.02 (2.4 GB, CC BY 4.0): unpack one and"
    " name the folder in which testing_list.txt lies"
)
_BACKGROUND = "_background_noise_"
_LISTS = {"validation_list.txt": "validation", "testing_list.txt": "test"}
_SHARE = 0.1
_SEED = 0
_NOISES = 16


def load(folder: Path | None) -> Dataset:
    """Read the folders of words; which others are drawn as unknown, and where silence is cut, is always the same.

    Raises
    ------
    InputError
        If the folder, one of its lists or the folder of a word is missing, or a recording cannot be read.
    UnavailableError
        If kaldi-native-fbank is not installed.
    """
    folder = require_folder(folder, NAME, HOW)
    listed = {name: part for file, part in _LISTS.items() for name in _list(folder / file)}
    for word in WORDS:
        if not any((folder / word).glob("*.wav")):
            raise InputError(f"{NAME}: class '{word}' has no samples: no .wav file in '{folder / word}'. {HOW}")
    rng = np.random.default_rng(_SEED)
    paths: list[Path] = []
    labels: list[int] = []
    parts: list[int] = []
    silences: dict[int, int] = {}
    others = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in (*WORDS, _BACKGROUND))
    for number, part in enumerate(PARTS):
        spoken = [(path, CLASSES.index(word)) for word in WORDS for path in _of(folder, word, part, listed)]
        unknown = [path for word in others for path in _of(folder, word, part, listed)]
        count = silences[number] = round(_SHARE * len(spoken))
        drawn = rng.permutation(len(unknown))[:count]
        spoken += [(unknown[place], CLASSES.index(UNKNOWN)) for place in sorted(drawn)]
        paths += [path for path, _ in spoken]
        labels += [label for _, label in spoken]
        parts += [number] * len(spoken)
    length = round(RATE * SECONDS)
    total = sum(silences.values())
    quiet = _silence(folder / _BACKGROUND, total, length, rng)
    resampled: list[Path] = []
    x = log_mel(chain(_recordings(paths, length, resampled), quiet), RATE)
    labels += [CLASSES.index(SILENCE)] * total
    parts += [number for number, count in silences.items() for _ in range(count)]
    return Dataset(
        NAME,
        CLASSES,
        x,
        np.array(labels, np.int64),
        np.array(parts, np.uint8),
        # Who spoke is the first part of a file's name; nobody is silent.
        (*(path.name.partition("_nohash_")[0] for path in paths), *[""] * total),
        white_noise(_NOISES, RATE),
        (f"{len(resampled)} of {len(paths)} recordings were resampled to {RATE} Hz",) if resampled else (),
    )


def _list(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{NAME}: {path} cannot be read: {error}. {HOW}") from error
    if not names:
        raise InputError(f"{NAME}: {path} is empty. {HOW}")
    return names


def _of(folder: Path, word: str, part: str, listed: dict[str, str]) -> list[Path]:
    """Return the recordings of a word in a part of the official split: what no list names is trained on."""
    found = sorted((folder / word).glob("*.wav"))
    return [path for path in found if listed.get(f"{word}/{path.name}", "train") == part]


def _recordings(paths: list[Path], length: int, resampled: list[Path]) -> Iterator[wav.Floats]:
    """Read one after another: all at once they would be gigabytes. Those of another rate are added to `resampled`."""
    for path in paths:
        samples, stored = wav.read(path, RATE)
        if stored != RATE:
            resampled.append(path)
        yield wav.centred(samples, length)


def _silence(folder: Path, count: int, length: int, rng: np.random.Generator) -> list[wav.Floats]:
    noises = [wav.read(path, RATE)[0] for path in sorted(folder.glob("*.wav"))]
    long = [noise for noise in noises if len(noise) >= length]
    if not long:
        raise InputError(f"{NAME}: class '{SILENCE}' has no samples: no .wav file of a second in '{folder}'. {HOW}")
    cuts = []
    for number in range(count):
        noise = long[number % len(long)]
        start = int(rng.integers(len(noise) - length + 1))
        cuts.append(noise[start : start + length] * np.float32(rng.random()))
    return cuts
