"""Data sets are read as they are labelled, parted without overlap, and what is wrong with them is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from sparsebench import datasets
from sparsebench.datasets import Dataset, idx, log_mel, part, speech_commands, wav
from sparsebench.datasets.base import PARTS, folds
from sparsebench.errors import InputError, UnavailableError

SHARED = Path(__file__).parents[2] / "shared" / "data" / "fsdd"


def tone(path: Path, rate: int = 8000, hertz: float = 500.0, seconds: float = 0.4, channels: int = 1) -> None:
    times = np.arange(round(rate * seconds)) / rate
    samples = (12000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, samples if channels == 1 else np.stack([samples] * channels, axis=1))


def spoken(folder: Path, speakers: tuple[str, ...] = ("ann", "bob", "cy"), digits: int = 10) -> Path:
    for speaker in speakers:
        for digit in range(digits):
            for number in (0, 7, 12):
                tone(folder / f"{digit}_{speaker}_{number}.wav", hertz=300 + 100 * digit)
    return folder


def test_spoken_digits_are_read_and_parted(tmp_path: Path) -> None:
    pytest.importorskip("kaldi_native_fbank")
    data = datasets.load("spoken-digits", spoken(tmp_path))
    assert data.x.shape == (90, 1, 32, 32) and data.x.dtype == np.float32
    assert data.x.max() == 0 and data.x.min() == pytest.approx(log_mel.FLOOR)
    assert data.noise is not None and np.exp(data.noise).mean() == pytest.approx(1.0, rel=1e-3)
    for fold, validate, sizes in (("", False, (60, 30)), ("", True, (30, 30)), ("bob", False, (60, 30))):
        train, judge = part(data, fold, validate=validate)
        assert (len(train), len(judge)) == sizes and not set(train) & set(judge)
    assert {data.groups[place] for place in part(data, "bob").judge} == {"bob"}
    train, judge = part(data, "bob", validate=True)
    assert {data.groups[place] for place in judge} == {"cy"} and {data.groups[place] for place in train} == {"ann"}
    # The pitch that the label stands for is where the energy is.
    loudest = [data.x[data.y == digit].mean((0, 1, 3)).argmax() for digit in (0, 5, 9)]
    assert loudest == sorted(loudest) and len(set(loudest)) == 3


def test_the_real_spoken_digits_are_what_they_are_known_to_be() -> None:
    pytest.importorskip("kaldi_native_fbank")
    if not SHARED.is_dir():
        pytest.skip("the Free Spoken Digit Dataset is not beside this checkout (../shared/data/fsdd)")
    data = datasets.load("spoken-digits", SHARED)
    assert np.array_equal(np.bincount(data.y), [300] * 10)
    assert len(part(data).train) == 2700 and len(part(data).judge) == 300
    assert folds(data, "leave-one-speaker-out") == ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    assert "longer than 1 s" in data.notes[0]


def test_other_rates_are_resampled_and_that_is_said(tmp_path: Path) -> None:
    pytest.importorskip("kaldi_native_fbank")
    spoken(tmp_path)
    plain = datasets.load("spoken-digits", tmp_path)
    tone(tmp_path / "3_ann_0.wav", rate=16000, hertz=600)
    data = datasets.load("spoken-digits", tmp_path)
    assert data.notes == ("1 of 90 recordings were resampled to 8000 Hz",)
    place = [n for n in range(90) if (data.x[n] != plain.x[n]).any()]
    assert len(place) == 1 and data.x[place[0], 0].argmax() == plain.x[place[0], 0].argmax()


@pytest.mark.parametrize(
    ("name", "channels", "message"),
    [
        ("seven_ann_0.wav", 1, "what stands before the first _ is a digit"),
        ("11_ann_0.wav", 1, "what stands before the first _ is a digit"),
        ("recording.wav", 1, "files are called digit_speaker_number.wav"),
        ("3_ann_0.wav", 2, "has 2 channels; recordings must be mono"),
    ],
)
def test_wrong_recordings_are_named(tmp_path: Path, name: str, channels: int, message: str) -> None:
    pytest.importorskip("kaldi_native_fbank")
    tone(spoken(tmp_path) / name, channels=channels)
    with pytest.raises(InputError, match=message) as error:
        datasets.load("spoken-digits", tmp_path)
    assert name in str(error.value)


def test_unreadable_recordings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "3_ann_0.wav"
    tone(path)
    whole = path.read_bytes()
    fast = whole[:24] + (2**32 - 1).to_bytes(4, "little") + whole[28:]
    still = whole[:24] + bytes(4) + whole[28:]
    torn = (b"RIFF", whole[:30], whole[:44], whole[: len(whole) // 2])
    for content in (b"", b"not a wav file at all", *torn, fast, still):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"3_ann_0\.wav"):
            wav.read(path, 8000)


def test_a_digit_that_nobody_says_is_named(tmp_path: Path) -> None:
    pytest.importorskip("kaldi_native_fbank")
    with pytest.raises(InputError, match="no sample of class '8', '9'"):
        datasets.load("spoken-digits", spoken(tmp_path, digits=8))


@pytest.mark.parametrize("source", ["spoken-digits", "speech-commands", "idx"])
def test_missing_and_empty_folders_say_how_to_get_the_data(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARSEBENCH_DATA", raising=False)
    monkeypatch.setattr(idx, "DEBIAN", tmp_path / "nowhere")
    with pytest.raises(InputError, match="name it by --data"):
        datasets.load(source)
    monkeypatch.setenv("SPARSEBENCH_DATA", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="does not exist"):
        datasets.load(source)
    with pytest.raises(InputError, match=str(tmp_path)):
        datasets.load(source, tmp_path)
    with pytest.raises(InputError, match="known: digits, idx, speech-commands, spoken-digits"):
        datasets.load("mnist")


def test_recordings_are_centred_or_cut_to_their_middle() -> None:
    samples = np.arange(1, 6, dtype=np.float32)
    assert wav.centred(samples, 3).tolist() == [2, 3, 4]
    assert wav.centred(samples, 8).tolist() == [0, 1, 2, 3, 4, 5, 0, 0]


def test_energies_do_not_depend_on_loudness_and_silence_is_the_floor() -> None:
    pytest.importorskip("kaldi_native_fbank")
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(8000).astype(np.float32)
    loud, faint, silent = log_mel.log_mel([samples, samples * np.float32(1e-3), samples * 0], 8000)
    assert faint == pytest.approx(loud, abs=1e-3)
    assert (silent == np.float32(log_mel.FLOOR)).all()


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kaldi_native_fbank", None)
    with pytest.raises(UnavailableError, match=r"pip install 'sparsebench\[train\]'"):
        log_mel.log_mel([np.ones(8000, np.float32)], 8001)


def commands(folder: Path) -> Path:
    """Make a tiny copy of the layout: three recordings a word, one of each part, and two other words."""
    tested, validated = [], []
    for word in (*speech_commands.WORDS, "bed", "cat"):
        for number, speaker in enumerate(("a1", "b2", "c3")):
            name = f"{word}/{speaker}_nohash_0.wav"
            tone(folder / name, rate=16000)
            [[], validated, tested][number].append(name)
    (folder / "testing_list.txt").write_text("\n".join(tested))
    (folder / "validation_list.txt").write_text("\n".join(validated))
    tone(folder / "_background_noise_" / "hum.wav", rate=16000, seconds=3.5)
    return folder


def test_speech_commands_follow_their_lists(tmp_path: Path) -> None:
    pytest.importorskip("kaldi_native_fbank")
    data = datasets.load("speech-commands", commands(tmp_path))
    assert len(data.classes) == 12
    # Of each part: ten words, an unknown one, a silence.
    for number in range(len(PARTS)):
        own = data.official == number
        assert np.bincount(data.y[own], minlength=12).tolist() == [1] * 12
        speakers = {data.groups[place] for place in np.flatnonzero(own)}
        assert speakers == {"abc"[number] + str(number + 1), ""}
    again = datasets.load("speech-commands", tmp_path)
    assert np.array_equal(again.x, data.x) and again.digest() == data.digest()
    assert not data.notes
    with pytest.raises(InputError, match="samples that nobody speaks"):
        folds(data, "leave-one-speaker-out")
    (tmp_path / "yes" / "c3_nohash_0.wav").unlink()
    lacking = datasets.load("speech-commands", tmp_path)
    assert lacking.notes == ("1 of 24 recordings that its lists name are not there: yes/c3_nohash_0.wav ...",)
    assert lacking.digest() != data.digest()


@pytest.mark.parametrize("seconds", [3, 60])
def test_silences_of_different_parts_are_cut_from_different_times(seconds: int) -> None:
    noise = np.arange(seconds * 1000, dtype=np.float32)
    counts = (80, 10, 10)
    cuts = [set(cut) for cut in speech_commands._cuts([noise], counts, 1000, np.random.default_rng(0))]
    assert all(len(cut) == 1000 for cut in cuts)
    train, validation, test = set().union(*cuts[:80]), set().union(*cuts[80:90]), set().union(*cuts[90:])
    assert not train & validation and not train & test and not validation & test


def test_speech_commands_say_which_part_of_the_layout_is_missing(tmp_path: Path) -> None:
    pytest.importorskip("kaldi_native_fbank")
    commands(tmp_path)
    (tmp_path / "_background_noise_" / "hum.wav").unlink()
    with pytest.raises(InputError, match="class '_silence_' has no samples"):
        datasets.load("speech-commands", tmp_path)
    for path in (tmp_path / "stop").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="class 'stop' has no samples"):
        datasets.load("speech-commands", tmp_path)
    (tmp_path / "testing_list.txt").write_text("")
    with pytest.raises(InputError, match=r"testing_list\.txt is empty"):
        datasets.load("speech-commands", tmp_path)


def write_idx(path: Path, array: np.ndarray, kind: int = 8) -> None:
    head = bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def images(folder: Path, train: int = 30, test: int = 10) -> Path:
    rng = np.random.default_rng(0)
    for name, count in (("train", train), ("t10k", test)):
        write_idx(folder / f"{name}-images-idx3-ubyte", rng.integers(256, size=(count, 4, 5)))
        write_idx(folder / f"{name}-labels-idx1-ubyte", np.arange(count) % 5)
    return folder


def test_idx_files_are_read_gzipped_or_not(tmp_path: Path) -> None:
    data = datasets.load("idx", images(tmp_path))
    assert data.x.shape == (40, 1, 4, 5) and data.classes == tuple("01234") and 0 <= data.x.min() < data.x.max() <= 1
    assert [int((data.official == n).sum()) for n in range(3)] == [25, 5, 10]
    path = tmp_path / "train-images-idx3-ubyte"
    packed = gzip.compress(path.read_bytes())
    for name in (f"{path.name}.gz", "train-images.idx3-ubyte.gz"):
        (tmp_path / name).write_bytes(packed)
        path.unlink()
        again = datasets.load("idx", tmp_path)
        assert np.array_equal(again.x, data.x) and again.digest() == data.digest()
        path = tmp_path / name


def test_corrupt_idx_files_are_named(tmp_path: Path) -> None:
    images(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    for content, message in (
        (whole[:-7], "has 593 bytes of data; its sizes 30 x 4 x 5 make 600"),
        (whole + b"\0", "has 601 bytes of data"),
        (b"\0\0\x0d\x03" + whole[4:], "begins with 00 00 0d 03; an IDX file of bytes with 3 dimensions begins with"),
        (whole[:3], "begins with 00 00 08;"),
        (b"", "begins with nothing"),
        (whole[:9], "ends within its head of 16 bytes"),
        (gzip.compress(whole)[:-20], "cannot be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            datasets.load("idx", tmp_path)
    path.write_bytes(whole)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(29))
    with pytest.raises(InputError, match=r"holds 30 images, .* 29 labels"):
        datasets.load("idx", tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte holds no images"):
        datasets.load("idx", images(empty, train=0, test=0))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(30))
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"has no t10k-labels-idx1-ubyte\[\.gz\]"):
        datasets.load("idx", tmp_path)


def test_digits_come_with_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(InputError, match="it is not read from a folder"):
        datasets.load("digits", tmp_path)
    monkeypatch.setenv("SPARSEBENCH_DATA", str(tmp_path))
    data = datasets.load("digits")
    assert data.x.shape == (1797, 64) and data.x.max() == 1
    train, judge = part(data)
    assert len(train) + len(judge) == 1797


def tiny(**values: object) -> Dataset:
    given = {
        "x": np.zeros((4, 3), np.float32),
        "y": np.array([0, 1, 0, 1]),
        "official": np.array([0, 0, 1, 2], np.uint8),
    }
    return Dataset("tiny", ("a", "b"), **(given | values))


def test_splits_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="has 0 speakers; split 'leave-one-speaker-out' needs three"):
        folds(tiny(), "leave-one-speaker-out")
    with pytest.raises(InputError, match="has no speaker 'dee'; there are x, y, z"):
        part(tiny(groups=("x", "y", "z", "z")), "dee")
    with pytest.raises(InputError, match="no samples to judge by in fold 'official'"):
        part(tiny(official=np.zeros(4, np.uint8)))
    with pytest.raises(InputError, match="no sample of class 'b' to train on"):
        part(tiny(official=np.array([0, 2, 0, 2], np.uint8)))
    with pytest.raises(InputError, match="is empty"):
        tiny(x=np.zeros((0, 3), np.float32), y=np.zeros(0, np.int64), official=np.zeros(0, np.uint8))
    with pytest.raises(InputError, match=r"differ in length: \[3, 4\]"):
        tiny(groups=("x", "y", "z"))
    with pytest.raises(InputError, match="labels 0 to 2 and 2 classes"):
        tiny(y=np.array([0, 1, 2, 1]))
