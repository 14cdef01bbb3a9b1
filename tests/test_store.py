"""The store: what is kept survives, what is foreign is left alone, writers wait for each other."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from stored import KERNELS, PROBLEMS, RECORD, make_run
from typer.testing import CliRunner

from sparsebench.bench.machine import key_hash
from sparsebench.cli.app import app
from sparsebench.errors import InputError
from sparsebench.results import COLUMNS
from sparsebench.run_folder import RunFolder
from sparsebench.store import DEFAULT, INDEX, SCHEMA_VERSION, VARIABLE, Store, store_path

OTHER = {"model": "another", "cores": 64}


def test_a_run_outlives_its_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 1)
    with Store.open(tmp_path / "store", create=True) as store:
        added = store.add(run)
        assert store.add(RunFolder.open(run.path)) == added
    shutil.rmtree(run.path)
    with Store.open(tmp_path / "store") as store:
        assert store.runs() == [added]
        assert store.folder(added).results() == run.results()
        assert store.folder(added).run == run.run
        frame = store.cases("csr")
    assert added.machine == key_hash(RECORD["machine"])
    assert added.cases == len(PROBLEMS) * len(KERNELS)
    assert list(frame.columns) == ["run", *COLUMNS]
    csr = [result for result in run.results() if result.kernel == "csr"]
    assert list(frame["median_s"]) == [result.median_s for result in csr]
    assert frame["speedup"].notna().all()


def test_a_run_that_is_not_complete_is_not_kept(tmp_path: Path) -> None:
    unfinished = RunFolder.create(tmp_path / "run", {key: RECORD[key] for key in RECORD if key != "finished"})
    with (
        Store.open(tmp_path / "store", create=True) as store,
        pytest.raises(InputError, match="--resume"),
    ):
        store.add(unfinished)
    assert not (tmp_path / "store" / "runs").exists()


def test_where_the_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert store_path(None) == DEFAULT
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert store_path(None) == tmp_path
    assert store_path(Path("chosen")) == Path("chosen")


@pytest.mark.parametrize("damage", ["text", "torn", "foreign", "newer"])
def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    index = tmp_path / INDEX
    if damage == "text":
        index.write_text("this is not SQLite, and longer than its header of one hundred bytes" * 3)
    elif damage == "foreign":
        connection = sqlite3.connect(index)
        connection.execute("CREATE TABLE mine (a)")
        connection.commit()
        connection.close()
    else:
        with Store.open(tmp_path, create=True) as store:
            store.add(make_run(tmp_path / "run", 1))
        if damage == "newer":
            connection = sqlite3.connect(index)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
            connection.close()
        else:
            index.write_bytes(index.read_bytes()[:5000])
    before = index.read_bytes()
    says = {"foreign": "another program", "newer": "upgrade sparsebench"}.get(damage, "damaged")
    for create in (False, True):
        with pytest.raises(InputError, match=says), Store.open(tmp_path, create=create) as store:
            store.runs()
    assert index.read_bytes() == before


def test_columns_that_are_new_are_added(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", create=True) as store:
        store.add(make_run(tmp_path / "run", 1))
    connection = sqlite3.connect(tmp_path / "store" / INDEX)
    connection.execute(f'ALTER TABLE cases DROP COLUMN "{COLUMNS[-1]}"')
    connection.close()
    with Store.open(tmp_path / "store") as store:
        store.add(make_run(tmp_path / "later", 2))
        assert len(store.cases("csr")) == 2 * len(PROBLEMS)


def test_an_addition_that_fails_leaves_nothing_in_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", 1)
    with Store.open(tmp_path / "store", create=True) as store:
        with monkeypatch.context() as broken:
            broken.setattr("sparsebench.store.derive_rows", lambda results: [{"too": "few"}])
            with pytest.raises(sqlite3.Error):
                store.add(run)
        assert store.runs() == []
        assert store.add(run).cases == len(run.results())
        assert len(store.cases("csr")) == len(PROBLEMS)


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    """Four processes make one store at once, each adds the same run and one of its own."""
    same = make_run(tmp_path / "same", 0).path
    script = (
        "import sys; from pathlib import Path; from sparsebench.run_folder import RunFolder;"
        "from sparsebench.store import Store\n"
        "for path in sys.argv[2:]:\n"
        "    with Store.open(Path(sys.argv[1]), create=True) as store: store.add(RunFolder.open(Path(path)))"
    )
    own = [make_run(tmp_path / f"own-{number}", number).path for number in range(1, 5)]
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "store"), str(same), str(path)]) for path in own
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    with Store.open(tmp_path / "store") as store:
        assert len(store.runs()) == 5
        assert all(store.folder(run).results() for run in store.runs())
    assert not list((tmp_path / "store" / "runs").glob("*.part"))


def test_baselines_are_one_for_each_machine(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "a", 1), make_run(tmp_path / "b", 2)
    elsewhere = make_run(tmp_path / "c", 3, machine=OTHER)
    with Store.open(tmp_path / "store", create=True) as store:
        before, a = store.save_baseline("main", first)
        assert before is None
        before, b = store.save_baseline("main", second)
        assert before == a
        assert store.save_baseline("main", elsewhere)[0] is None
        assert [baseline.run.machine for baseline in store.baselines("main")] == sorted({b.machine, key_hash(OTHER)})
        with pytest.raises(InputError, match=f"run {b.id} is baseline 'main'"):
            store.remove(b.id)
        assert store.remove_baseline("main", key_hash(OTHER)) == 1
        assert [baseline.run for baseline in store.baselines()] == [b]
        shutil.rmtree(tmp_path / "store" / "runs" / a.id)
        store.remove(a.id)
        assert a not in store.runs()
        assert set(store.cases("csr")["run"]) == {run.id for run in store.runs()}
        for name in ("", "two words", "line\nbreak"):
            with pytest.raises(InputError, match="no name for a baseline"):
                store.save_baseline(name, first)


def invoke(store: Path, *arguments: object) -> tuple[int, str]:
    """Return exit code and all that was said, by the program or by its error."""
    command = [*map(str, arguments), "--store", str(store)]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    refused = isinstance(result.exception, InputError)
    return (2 if refused else result.exit_code), result.output + (str(result.exception) if refused else "")


def test_comparing_with_a_baseline(tmp_path: Path) -> None:
    store = tmp_path / "store"
    base, head = make_run(tmp_path / "base", 1), make_run(tmp_path / "head", 2, factors={"csr": 1.4})
    assert invoke(store, "compare", "--baseline", "main", head.path) == (
        2,
        f"there is no store at '{store}': "
        "'sparsebench baseline save', 'history --add' and 'run --record' make one (--store DIR says where)",
    )
    code, said = invoke(store, "baseline", "save", "main", base.path)
    assert code == 0
    assert "baseline 'main' of machine" in said
    shutil.rmtree(base.path)
    code, said = invoke(store, "compare", "--baseline", "main", head.path)
    assert code == 1
    assert "baseline main and" in said
    assert "slower" in said
    assert invoke(store, "compare", "--baseline", "mian", head.path)[1].startswith("no baseline 'mian'")
    assert "nothing to compare with" in invoke(store, "compare", head.path)[1]
    assert "main" in invoke(store, "baseline", "list")[1]
    assert invoke(store, "baseline", "remove", "main")[0] == 0
    assert invoke(store, "baseline", "remove", "main")[0] == 2


def test_a_baseline_of_another_machine_is_not_comparable(tmp_path: Path) -> None:
    store = tmp_path / "store"
    elsewhere = make_run(tmp_path / "base", 1, machine=OTHER)
    head = make_run(tmp_path / "head", 2)
    invoke(store, "baseline", "save", "main", elsewhere.path)
    code, said = invoke(store, "compare", "--baseline", "main", head.path)
    assert code == 5
    assert "differ in the machine" in said
    assert f"sparsebench baseline save main {head.path}" in said
    assert invoke(store, "compare", "--baseline", "main", head.path, "--vary", "machine")[0] == 0
