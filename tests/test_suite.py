from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import save_cnn

from sparsebench import registry, suite
from sparsebench.errors import InputError
from sparsebench.problem import Problem
from sparsebench.suite import Group

NAMES = ("complementary", "csr", "dense", "mkl-dense", "mkl-csr", "numpy-dense")
KNOWN = {"matmul": NAMES, "conv2d": ("complementary", "csr", "mkl-im2col")}
GOOD = """
title = "A test"
threads = [1]
[[problems]]
shapes = [[8, 16], [32, 8]]
n = [1, 4]
patterns = [{ name = "complementary", lanes = 8 }, { name = "unstructured" }]
density = [0.25, 0.5]
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "test.toml"
    path.write_text(text)
    return str(path)


def expand(tmp_path: Path, text: str, **options: Any) -> list[Group]:
    options = {"kernel_names": KNOWN, "cores": 2, "level": "v3"} | options
    return suite.expand(suite.load(write(tmp_path, text)), **options)


def test_a_suite_is_the_product_of_its_lists(tmp_path: Path) -> None:
    groups = expand(tmp_path, GOOD)
    assert len(groups) == 2 * 2 * 2 * 2
    assert len({str(group.problem) for group in groups}) == 16
    assert {group.kernels for group in groups} == {NAMES}
    assert {(group.suite, group.threads, group.level, group.baseline) for group in groups} == {
        ("test", 1, "v3", "mkl-dense")
    }


def test_scalars_stand_for_lists(tmp_path: Path) -> None:
    text = GOOD.replace("n = [1, 4]", "n = 4").replace("density = [0.25, 0.5]", 'density = 0.5\ncache = "cold"')
    groups = expand(tmp_path, text.replace("threads = [1]", 'threads = "all"') + 'kernels = "mkl-*"\n')
    assert len(groups) == 4
    assert {group.problem.cache for group in groups} == {"cold"}
    assert {group.threads for group in groups} == {2}
    assert {group.kernels for group in groups} == {("mkl-dense", "mkl-csr")}


def test_lanes_can_be_left_to_the_kernel(tmp_path: Path) -> None:
    text = GOOD.replace("lanes = 8", 'lanes = "auto"').replace("n = [1, 4]", "n = [4, 256]")
    groups = expand(tmp_path, text, where="pattern == 'complementary' and density == 0.5 and M == 8")
    assert [str(group.problem.pattern) for group in groups] == ["complementary/16", "complementary/8"]


CONV = """
title = "Layers"
[[problems]]
op = "conv2d"
shapes = [[8, 4, 3, 3, 9, 9]]
stride = 2
padding = [1, 0]
n = [1, 16]
patterns = [{ name = "complementary", lanes = 8 }]
"""


def test_convolutions_are_layers_and_a_window(tmp_path: Path) -> None:
    groups = expand(tmp_path, CONV)
    assert [str(group.problem) for group in groups] == [
        f"conv2d:8x4x3x3x9x9x{n}:complementary/8+0.95:f32;stride=2;padding=1x0" for n in (1, 16)
    ]
    assert {(group.kernels, group.baseline) for group in groups} == {(KNOWN["conv2d"], "mkl-im2col")}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("[[8, 4, 3, 3, 9, 9]]", "[[8, 4]]"), r"shapes\[0\] of op 'conv2d' must be \[out, in, kh, kw, H, W\]"),
        (('op = "conv2d"', 'op = "matmul"'), r"shapes\[0\] of op 'matmul' must be \[M, K\]"),
        (('op = "conv2d"\nshapes = [[8, 4, 3, 3, 9, 9]]', "shapes = [[8, 4]]"), "are for op 'conv2d'"),
        (("stride = 2", "stride = 0"), r"problems\[0\]\.stride"),
        (("padding = [1, 0]", "padding = [1]"), r"problems\[0\]\.padding"),
        (("stride = 2", 'x_layout = "blocked"'), "x_layout is for op 'matmul'"),
        (("stride = 2", "groups = 3"), "must divide the 4 channels"),
    ],
)
def test_bad_convolutions(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    assert change[0] in CONV
    with pytest.raises(InputError, match=says):
        expand(tmp_path, CONV.replace(*change))


def test_layouts_are_problems_of_their_own(tmp_path: Path) -> None:
    groups = expand(tmp_path, GOOD + 'x_layout = ["row", "blocked"]\n', where="layout == 'blocked'")
    assert len(groups) == 2 * 2 * 2 * 2
    assert all(str(group.problem).endswith(";layout=blocked") for group in groups)


def test_the_command_line_narrows_and_replaces(tmp_path: Path) -> None:
    groups = expand(tmp_path, GOOD, threads=[2, "all"], kernels=["mkl-*", "csr"], where="N == 4 and M > 8", seed=7)
    assert {group.threads for group in groups} == {2}
    assert {group.kernels for group in groups} == {("csr", "mkl-dense", "mkl-csr")}
    assert {(group.problem.N, group.problem.M, group.problem.seed) for group in groups} == {(4, 32, 7)}


def test_where_sees_every_column(tmp_path: Path) -> None:
    assert len(expand(tmp_path, GOOD, where="lanes == 8 and overlay == 4")) == 4
    assert len(expand(tmp_path, GOOD, where="pattern == 'unstructured' and density < 0.3 and threads == 1")) == 4
    assert len(expand(tmp_path, GOOD, where="weights == 'random' and cache == 'warm' and op == 'matmul'")) == 16


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("colour == 3", r"colour.*columns: op, pattern"),
        ("N ==", "--where 'N =='"),
        ("N > 99", "selects none of 16"),
        ("N - 1", "--where 'N - 1' is not a condition.*columns: op, pattern"),
        ("limit = N", "is not a condition"),
        ("1 == 1", "is not a condition"),
    ],
)
def test_bad_expressions(tmp_path: Path, where: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        expand(tmp_path, GOOD, where=where)


def test_an_expression_over_what_no_problem_has_selects_none(tmp_path: Path) -> None:
    text = GOOD.replace('{ name = "complementary", lanes = 8 }, ', "")
    assert len(expand(tmp_path, text, where="lanes != lanes and block != '4x4'")) == 8
    for where in ("lanes >= 8", "overlay < 4", "block == '4x4'"):
        with pytest.raises(InputError, match="selects none of 8"):
            expand(tmp_path, text, where=where)


def test_tables_with_the_same_problem_are_merged(tmp_path: Path) -> None:
    table = GOOD[GOOD.index("[[problems]]") :]
    text = GOOD + 'kernels = ["csr"]\n' + table + 'kernels = ["mkl-*"]\n'
    groups = expand(tmp_path, text)
    assert len(groups) == 16
    assert {group.kernels for group in groups} == {("csr", "mkl-dense", "mkl-csr")}


def test_all_threads_of_one_core_are_one(tmp_path: Path) -> None:
    text = GOOD.replace("threads = [1]", 'threads = [1, "all"]')
    assert {group.threads for group in expand(tmp_path, text, cores=1)} == {1}
    assert {group.threads for group in expand(tmp_path, text, cores=3)} == {1, 3}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("density = [0.25, 0.5]", "density = [0.0]"), r"problems\[0\]\.density\[0\]: .*greater than 0"),
        (("density = [0.25, 0.5]", "density = 1.5"), r"problems\[0\]\.density\[0\]: .*less than or equal to 1"),
        (("lanes = 8", "lanes = 3"), r"patterns\[0\]\.lanes: Input should be 1, 4, 8, 16 or 'auto' \(got 3\)"),
        (('name = "unstructured"', 'name = "triangular"'), r"patterns\[1\]\.name: pattern 'triangular' is not known"),
        (("n = [1, 4]", "m = [1, 4]"), r"problems\[0\]\.m: unknown key"),
        (("lanes = 8", "lane = 8"), r"patterns\[0\]\.lane: unknown key; did you mean 'lanes'\?"),
        (("title =", "titel ="), r"titel: unknown key; did you mean 'title'\?"),
        (("n = [1, 4]", 'n = ["many"]'), r"problems\[0\]\.n\[0\]: .*valid integer.*'many'"),
        (("n = [1, 4]", "n = [0]"), r"problems\[0\]\.n\[0\]: .*greater than 0"),
        (("threads = [1]", "threads = [0]"), r"threads\[0\]: .*greater than 0 or: .*'all' \(got 0\)"),
        (("shapes = [[8, 16], [32, 8]]", ""), r"problems\[0\]: weights 'random' need shapes"),
        (("[[8, 16], [32, 8]]", "[[8]]"), r"problems\[0\]: shapes\[0\] of op 'matmul' must be \[M, K\]"),
        (('"unstructured"', '"stored"'), "pattern 'stored' needs weights from a file"),
        (('title = "A test"', 'title = "A test'), r"test\.toml: not valid TOML: .*line 2"),
        (("[[problems]]", '[[thresholds]]\nclaim = "c"\nkernel = "csr"\n[[problems]]'), "give at_least, at_most"),
        (('name = "complementary", ', ""), r"problems\[0\]\.patterns\[0\]\.name: this key is missing"),
        (('{ name = "unstructured" }', '"unstructured"'), r"patterns\[1\]: Input should be a table \(got 'unstr"),
        (("n = [1, 4]", "n = 1\nblock = 4"), r"problems\[0\]\.block: unknown key"),
        (("threads = [1]", 'threads = "some"'), r"threads\[0\]: .*valid integer or: .*'all' \(got 'some'\)"),
        (("n = [1, 4]", "n = 1\nweights = 3"), r"problems\[0\]\.weights: .*valid string or: .*a table \(got 3\)"),
        (("n = [1, 4]", 'n = 1\nweights = { source = "w.npz", per_shap = 1 }'), r"weights\.per_shap: .*'per_shape'\?"),
    ],
)
def test_bad_suites_say_where_and_what(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(InputError, match=says) as caught:
        expand(tmp_path, GOOD.replace(*change))
    assert all("test.toml: " in line for line in str(caught.value).splitlines())


def test_a_wrong_key_has_one_line(tmp_path: Path) -> None:
    text = GOOD.replace("n = [1, 4]", "n = 1\nweights = { source = 3, per_shap = 1 }").replace("[1]", '"some"')
    with pytest.raises(InputError) as caught:
        expand(tmp_path, text)
    keys = [line.partition("test.toml: ")[2].partition(": ")[0] for line in str(caught.value).splitlines()]
    assert keys == ["threads[0]", "problems[0].weights.source", "problems[0].weights.per_shap"]


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("lanes = 8", "lanes = 3").replace("n = [1, 4]", "n = [0]").replace("title", "titel")
    with pytest.raises(InputError) as caught:
        expand(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert sum("title: this key is missing" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("options", "text", "says"),
    [
        ({"kernels": ["mlk-dense"]}, GOOD, r"--kernels: kernel 'mlk-dense' is not known; did you mean 'mkl-dense'\?"),
        ({}, GOOD + 'kernels = ["gpu-*"]', r"problems\[0\]\.kernels: kernel 'gpu-\*' is not known"),
        ({}, GOOD.replace("threads", 'baseline = "nobody"\nthreads'), "baseline: kernel 'nobody' is not known"),
        ({}, GOOD.replace("threads", 'baseline = "mkl-*"\nthreads'), r"baseline: kernel 'mkl-\*' is not known"),
        ({"threads": [3]}, GOOD, "threads 3: this machine has 2 cores"),
        ({"threads": [0]}, GOOD, "threads 0: a thread count must be at least 1"),
        ({"kernels": ["csr"]}, GOOD + 'kernels = ["dense"]', "--kernels leaves no kernel"),
        ({}, GOOD.replace("0.25, 0.5", "0.3"), r"suite 'test', problems\[0\]: density 0.3 .* 1/4 = 0.25 .* and 1/3"),
    ],
)
def test_bad_kernels_and_threads(tmp_path: Path, options: dict[str, Any], text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        expand(tmp_path, text, **options)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("somke", r"suite 'somke' is not known; did you mean 'smoke'\?"),
        (
            "zzz",
            r"suite 'zzz' is not known \(known: break-even, columns, conv,",
        ),
        ("absent.toml", "suite file 'absent.toml' does not exist"),
    ],
)
def test_unknown_suites(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        suite.load(name)


def test_shipped_suites_are_valid() -> None:
    names = [name for name, _ in suite.shipped()]
    assert {"columns", "dlmc", "minilm", "poster", "scaling", "smoke"} <= set(names)
    known = {op: list(named) for op, named in registry.all_kernels().items()}
    for name in set(names) - {"dlmc", "minilm", "real-models"}:
        suite.expand(suite.load(name), kernel_names=known, cores=2, level="v4", peers=registry.peers())
    groups = suite.expand(suite.load("poster"), kernel_names=KNOWN, cores=2, level="v4")
    assert len(groups) == (5 * 8 * 5 + 5 * 5 + 2 * 3 * 4 - 2 * 3 + 2 * 2 * 2) * 2


def test_the_published_schema_is_in_step() -> None:
    published = suite.find("smoke").with_name("suite.schema.json").read_text()
    assert published == suite.schema_text(), "run: sparsebench list schema > suites/suite.schema.json"


def test_the_published_schema_takes_an_item_for_a_list() -> None:
    schema = json.loads(suite.schema_text())
    lists = schema["$defs"]["ProblemTable"]["properties"] | {"threads": schema["properties"]["threads"]}
    for key in ("n", "density", "act_density", "cache", "kernels", "threads"):
        item, array = lists[key]["anyOf"]
        assert array == {"type": "array", "items": item, "minItems": 1}, key
        assert "type" not in lists[key], key


FILES = """
title = "Files"
[[problems]]
weights = { source = "SOURCE", per_shape = 1 }
n = 2
patterns = [{ name = "unstructured" }]
density = 0.5
"""


def test_shapes_come_from_the_weights(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.ones((4, 6)), b=np.ones((4, 6)), c=np.ones((5, 3)))
    groups = expand(tmp_path, FILES.replace("SOURCE", str(tmp_path / "w.npz")))
    assert [(group.problem.M, group.problem.K, group.problem.weights[-2:]) for group in groups] == [
        (4, 6, "!a"),
        (5, 3, "!c"),
    ]
    only = FILES.replace("SOURCE", str(tmp_path / "w.npz")).replace("n = 2", "n = 2\nshapes = [[5, 3]]")
    assert len(expand(tmp_path, only)) == 1
    with pytest.raises(InputError, match="have no matrix of 9x9; they have 4x6, 5x3"):
        expand(tmp_path, only.replace("[5, 3]", "[9, 9]"))


def test_a_stored_pattern_has_the_density_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "layer.smtx").write_text("2, 4, 3\n0 1 3\n2 0 3\n")
    text = FILES.replace("SOURCE", "data:").replace("unstructured", "stored")
    (group,) = expand(tmp_path, text, data=tmp_path)
    assert group.problem.density == 0.375
    assert group.problem.weights == "data:layer.smtx"
    np.save(tmp_path / "dense.npy", np.ones((2, 2)))
    with pytest.raises(InputError, match="none of them zero: pattern 'stored' needs weights of which some are"):
        expand(tmp_path, text.replace("data:", str(tmp_path / "dense.npy")))
    np.save(tmp_path / "pruned.npy", np.eye(4))
    (group,) = expand(tmp_path, text.replace("data:", str(tmp_path / "pruned.npy")))
    assert group.problem.density == 0.25


def test_the_collection_gives_one_matrix_of_each_shape() -> None:
    data = Path(__file__).parents[2] / "shared/data/dlmc"
    if not data.is_dir():
        pytest.skip("no matrices of the Deep Learning Matrix Collection beside the checkout")
    groups = suite.expand(suite.load("dlmc"), kernel_names=KNOWN, cores=2, level="v3", data=data)
    shapes = {(group.problem.M, group.problem.K) for group in groups}
    assert len(groups) == len(shapes) * 3 * 3
    assert {(512, 512), (2048, 512), (1000, 2048)} <= shapes
    stored = [group.problem.density for group in groups if group.problem.pattern.name == "stored"]
    assert stored == [pytest.approx(0.05, rel=0.01)] * (len(shapes) * 3)


def test_a_data_folder_must_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARSEBENCH_DATA", raising=False)
    with pytest.raises(InputError, match="--data"):
        expand(tmp_path, FILES.replace("SOURCE", "data:"))


def test_a_single_problem_gets_all_kernels() -> None:
    problem = Problem.parse("matmul:8x8x4:unstructured+0.5:f32")
    (group,) = suite.single(problem, kernel_names=KNOWN, cores=2, level="v3")
    assert group.kernels == NAMES
    assert group.threads == 1


MODEL = """
title = "A model"
[[models]]
file = "FILE"
input_shapes = { x = [1, 3, 16, 16] }
patterns = [{ name = "complementary", lanes = 8 }, { name = "unstructured" }]
density = 0.1
"""


def test_layers_of_a_model_are_problems_at_its_own_sizes(tmp_path: Path) -> None:
    text = MODEL.replace("FILE", str(save_cnn(tmp_path / "net.onnx")))
    groups = expand(tmp_path, text)
    # A tenth of a depthwise filter's 9 weights is less than one: that layer is left out.
    assert [str(group.problem).partition(":complementary")[0] for group in groups[::2]] == [
        "conv2d:16x3x3x3x17x17x1", "conv2d:16x16x1x1x8x8x1", "matmul:24x16x1", "matmul:10x24x1",
    ]  # fmt: skip
    assert [group.problem.pattern.name for group in groups[:2]] == ["complementary", "unstructured"]
    assert {group.kernels for group in groups} == {KNOWN["conv2d"], NAMES}
    assert {group.baseline for group in groups} == {"mkl-im2col", "mkl-dense"}
    assert len(expand(tmp_path, text + "largest = 1")) == 2
    assert len(expand(tmp_path, text + 'layers = "fc"')) == 2
    assert {group.problem.op for group in expand(tmp_path, text + 'kernels = "mkl-dense"')} == {"matmul"}


def test_what_is_wrong_with_a_model_table(tmp_path: Path) -> None:
    text = MODEL.replace("FILE", str(save_cnn(tmp_path / "net.onnx")))
    for changed, says in (
        (text.replace("input_shapes = { x = [1, 3, 16, 16] }", ""), r"models\[0\]: model .* set input_shapes or batch"),
        (text.replace("x = [1", "z = [1"), "has no input 'z'; it has x"),
        (text.replace("density = 0.1", "density = 0.01"), "no layer can have any of the patterns"),
        (text + 'layers = "hed"', r"models\[0\]: .*layers 'hed' names no layer; nearest: head"),
        (text + 'kernels = "cssr"', r"models\[0\]\.kernels: kernel 'cssr' is not known"),
        (text + "n = 1", r"models\[0\]\.n: unknown key"),
        (MODEL.replace("FILE", "absent.onnx"), "absent.onnx"),
        ('title = "Empty"', r"needs \[\[problems\]\] or \[\[models\]\]"),
    ):
        with pytest.raises(InputError, match=says):
            expand(tmp_path, changed)


PEERS = {"kernel_names": {"matmul": (*NAMES, "torch-dense", "torch-csr")}, "peers": {"torch-dense", "torch-csr"}}


@pytest.mark.parametrize(
    ("table", "asked", "chosen"),
    [
        ('["*"]', None, NAMES),
        ('["*", "peers"]', None, (*NAMES, "torch-dense", "torch-csr")),
        ('"peers"', None, ("torch-dense", "torch-csr")),
        ('["csr", "torch-*"]', None, ("csr", "torch-dense", "torch-csr")),
        ('["*-csr"]', None, ("mkl-csr", "torch-csr")),
        ('["*"]', ["torch-csr"], ("torch-csr",)),
        ('["*"]', ["*"], NAMES),
        ('["csr", "mkl-csr"]', ["*", "peers"], ("csr", "mkl-csr")),
    ],
)
def test_peers_run_where_they_are_asked_for(
    tmp_path: Path, table: str, asked: list[str] | None, chosen: tuple[str, ...]
) -> None:
    groups = expand(tmp_path, GOOD + f"kernels = {table}", kernels=asked, **PEERS)
    assert {group.kernels for group in groups} == {chosen}


def test_a_problem_alone_has_no_peers_unless_asked() -> None:
    problem = Problem.parse("matmul:8x8x1:unstructured+0.5:f32")
    given = {"cores": 2, "level": "v3", **PEERS}
    assert [group.kernels for group in suite.single(problem, **given)] == [NAMES]
    (asked,) = suite.single(problem, kernels=["peers"], **given)
    assert asked.kernels == ("torch-dense", "torch-csr")


def test_a_slip_in_peers_is_told_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"kernel 'peer' is not known; did you mean 'peers'\?"):
        expand(tmp_path, GOOD + 'kernels = "peer"', **PEERS)


def test_where_there_are_no_peers_they_cannot_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kernel 'peers' is not known"):
        expand(tmp_path, GOOD + 'kernels = "peers"')
