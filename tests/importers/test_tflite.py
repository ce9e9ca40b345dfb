"""TensorFlow Lite files: how weights are stored, names, variables, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_tflite_operators import (
    LSTM,
    ROWS,
    difference,
    feeds_of,
    ints,
    load,
    outputs,
    reals,
    snapped,
    window,
)
from tflite_models import (
    Net,
    Tensor,
    by_channel,
    interpreter,
    net,
    op,
    quantized,
    sized,
    written,
)

import mcuq
from mcuq import importers
from mcuq.data import feeds as data
from mcuq.errors import McuqError
from mcuq.flows.compile import compile_model
from mcuq.importers import tflite
from mcuq.ir import Array, from_memory, shown
from mcuq.measure.inspect import inspect_model
from mcuq.model.compiled import Compiled
from mcuq.reference import feeds_to_int, outputs_of, port_to_real
from mcuq.sequences import run_real

DENSE = net(
    [op("FULLY_CONNECTED", "x w b", "h", "FullyConnected", FusedActivationFunction=1),
     op("FULLY_CONNECTED", "h v -", "y", "FullyConnected")],
    {"x": (1, 12)}, {"w": reals(8, 12), "b": reals(8), "v": reals(3, 8)},
)  # fmt: skip


def with_tensors(made: Net, **tensors: Tensor) -> Net:
    return replace(made, tensors={**made.tensors, **tensors})


def refusal(made: Net, folder: Path) -> list[str]:
    path = folder / "net.tflite"
    path.write_bytes(written(made))
    return [str(error) for error in importers.problems_of(path)]


def test_dynamic_range_weights_are_the_reals_they_stand_for(tmp_path: Path) -> None:
    made = sized(DENSE)
    weights = by_channel(made.tensors["w"], 0)
    assert weights.data is not None
    same = weights.data * np.array(weights.scales, np.float32)[:, None]
    graph = load(with_tensors(made, w=weights), tmp_path)
    plain = with_tensors(made, w=replace(made.tensors["w"], data=same.astype(np.float32)))
    assert difference(plain, graph, feeds_of(made)) <= 1e-5
    hints = [hint for hint in graph.hints.values() if len(hint.scale) == 8]
    assert [hint.bits for hint in hints] == [8]


def test_float16_weights(tmp_path: Path) -> None:
    stored = reals(5, 12).astype(np.float16)
    made = net(
        [op("DEQUANTIZE", "w", "v"), op("FULLY_CONNECTED", "x v -", "y", "FullyConnected")],
        {"x": (1, 12)}, {"w": stored},
    )  # fmt: skip
    assert difference(sized(made), load(sized(made), tmp_path), feeds_of(made)) <= 1e-4


SPARSE = {
    "rows": ([0, 1], [], lambda w: w),
    "columns first": ([1, 0], [], lambda w: w.T),
}


def compressed(rows: Any) -> tuple[Any, Any, Any]:
    """(segments, indices, values) of the entries that are not 0."""
    segments = np.concatenate([[0], np.cumsum((rows != 0).sum(1))])
    return segments, np.nonzero(rows)[1], rows[rows != 0]


@pytest.mark.parametrize("order", SPARSE)
def test_sparse_weights_through_densify(order: str, tmp_path: Path) -> None:
    weights = np.where(reals(6, 12) > 0.4, reals(6, 12), 0).astype(np.float32)
    traversal, blocks, turned = SPARSE[order]
    segments, indices, values = compressed(turned(weights))
    dims = [len(turned(weights)), (segments, indices)]
    made = net(
        [op("DENSIFY", "s", "w", "Densify"), op("FULLY_CONNECTED", "x w -", "y", "FullyConnected")],
        {"x": (1, 12)}, {"s": weights},
    )  # fmt: skip
    sparse = Tensor((6, 12), "float32", values, sparse=(traversal, blocks, dims))
    graph = load(with_tensors(made, s=sparse, w=Tensor((6, 12)), y=Tensor((1, 6))), tmp_path)
    plain = sized(net([op("FULLY_CONNECTED", "x w -", "y", "FullyConnected")], {"x": (1, 12)},
                      {"w": weights}))  # fmt: skip
    assert difference(plain, graph, feeds_of(plain)) <= 1e-4


def test_sparse_weights_in_blocks(tmp_path: Path) -> None:
    weights = np.zeros((4, 8), np.float32)
    weights[1, 0:4], weights[2, 4:8] = (1, 2, 3, 4), (5, 6, 7, 8)
    blocks = np.array([[0, 0], [1, 0], [0, 1], [0, 0]])
    segments, indices, _ = compressed(blocks)
    values = weights[weights != 0]
    made = net([op("FULLY_CONNECTED", "x w -", "y", "FullyConnected")], {"x": (1, 8)},
               {"w": weights})  # fmt: skip
    made = sized(made)
    sparse = Tensor((4, 8), "float32", values, sparse=([0, 1, 2], [1], [4, (segments, indices), 4]))
    graph = load(with_tensors(made, w=sparse), tmp_path)
    assert difference(made, graph, feeds_of(made)) <= 1e-4


def test_names_of_the_signature(tmp_path: Path) -> None:
    made = replace(sized(DENSE), signature=({"image": "x"}, {"scores": "y"}))
    graph = load(made, tmp_path)
    assert [port.name for port in (*graph.inputs, *graph.outputs)] == ["image", "scores"]


def test_names_stay_unique(tmp_path: Path) -> None:
    made = replace(sized(DENSE), signature=({"h": "x"}, {"h": "y"}))
    graph = load(made, tmp_path)
    names = [port.name for port in (*graph.inputs, *graph.outputs)]
    assert names[0] == "h"
    assert len(set(names)) == 2


HANDLE = op("VAR_HANDLE", "", "v", "VarHandle", SharedName="weights")


def with_variable() -> Net:
    types = {"v": "resource", "r": "float32"}
    first = net([HANDLE, op("ASSIGN_VARIABLE", "v c", "", "AssignVariable")], {},
                {"c": reals(5, 12)}, types, "")  # fmt: skip
    made = net(
        [op("CALL_ONCE", "", "", "CallOnce", InitSubgraphIndex=1), HANDLE,
         op("READ_VARIABLE", "v", "r", "ReadVariable"),
         op("FULLY_CONNECTED", "x r -", "y", "FullyConnected")],
        {"x": (1, 12)}, None, types,
    )  # fmt: skip
    shaped = with_tensors(made, r=Tensor((5, 12)), y=Tensor((1, 5)))
    return replace(shaped, graphs=(first,))


def test_a_variable_that_is_set_once_is_a_constant(tmp_path: Path) -> None:
    plain = net([op("FULLY_CONNECTED", "x r -", "y", "FullyConnected")], {"x": (1, 12)},
                {"r": reals(5, 12)})  # fmt: skip
    graph = load(with_variable(), tmp_path)
    assert difference(sized(plain), graph, feeds_of(plain)) <= 1e-4


def streaming() -> Net:
    """Rows that move on, and a sum that is read again behind where it is set."""
    types = {"v": "resource", "u": "resource"}
    rows = op("VAR_HANDLE", "", "v", "VarHandle", SharedName="rows")
    total = op("VAR_HANDLE", "", "u", "VarHandle", SharedName="total")
    first = net(
        [rows, op("ASSIGN_VARIABLE", "v c", "", "AssignVariable"),
         total, op("ASSIGN_VARIABLE", "u d", "", "AssignVariable")],
        {}, {"c": reals(1, 2, 4), "d": np.full((1, 3), 0.5, np.float32)}, types, "",
    )  # fmt: skip
    made = net(
        [op("CALL_ONCE", "", "", "CallOnce", InitSubgraphIndex=1), rows, total,
         op("READ_VARIABLE", "v", "r", "ReadVariable"),
         op("CONCATENATION", "r x", "all", "Concatenation", Axis=1),
         op("SLICE", "all b s", "next", "Slice"),
         op("ASSIGN_VARIABLE", "v next", "", "AssignVariable"),
         op("RESHAPE", "all flat", "f", "Reshape"),
         op("FULLY_CONNECTED", "f w -", "z", "FullyConnected"),
         op("READ_VARIABLE", "u", "t", "ReadVariable"),
         op("ADD", "t z", "added", "Add"),
         op("ASSIGN_VARIABLE", "u added", "", "AssignVariable"),
         op("READ_VARIABLE", "u", "again", "ReadVariable"),
         op("MUL", "again half", "y", "Mul")],
        {"x": (1, 1, 4)},
        {"b": ints(0, 1, 0), "s": ints(1, 2, 4), "flat": ints(1, 12), "w": reals(3, 12),
         "half": np.float32(0.5)}, types,
    )  # fmt: skip
    shapes = {"r": (1, 2, 4), "all": (1, 3, 4), "next": (1, 2, 4), "f": (1, 12), "z": (1, 3),
              "t": (1, 3), "added": (1, 3), "again": (1, 3), "y": (1, 3)}  # fmt: skip
    shaped = with_tensors(made, **{n: Tensor(s) for n, s in shapes.items()})
    return replace(shaped, graphs=(replace(first, inputs=()),))


def test_a_variable_that_is_set_again_is_a_state(tmp_path: Path) -> None:
    """Step by step as in the interpreter, from the values that are set once."""
    made = streaming()
    graph = load(made, tmp_path)
    assert graph.stream is not None
    assert [(s.read, s.written) for s in graph.stream.states] == [
        ("rows", "rows.next"), ("total", "total.next"),
    ]  # fmt: skip
    runner, rows = interpreter(written(made)), reals(1, 20, 1, 4)
    wanted = []
    for row in rows[0]:
        runner.set_tensor(runner.get_input_details()[0]["index"], row[None])
        runner.invoke()
        wanted.append(runner.get_tensor(runner.get_output_details()[0]["index"])[0])
    name = shown(graph)[0].tensor
    found = run_real(graph, {"x": rows.reshape(1, 20, *graph.shape("x")[1:])}, {name})[name]
    np.testing.assert_allclose(found.reshape(20, 3), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_stream_of_variables_is_exact_on_the_host(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(written(streaming()))
    made = mcuq.compile(path, None, reals(40, 1, 4), effort="fast")
    assert made.report.stream is not None
    grows = [line for line in made.advice if "plus more at every step" in line]
    assert ["state 'total'" in line for line in grows] == [True]
    assert [verdict.exact for verdict in made.check([], vectors=8)] == [True]


def test_the_range_of_fake_quantization_is_the_models_own(tmp_path: Path) -> None:
    """What trained with it gives a step to what it limits; the rounding is left to the integers."""
    made = net([op("RELU", "x", "r"),
                op("FAKE_QUANT", "r", "h", "FakeQuant", Min=0.0, Max=6.0, NumBits=8),
                op("TANH", "h", "y")], {"x": (1, 12)})  # fmt: skip
    graph = load(made, tmp_path)
    hints = [hint for hint in graph.hints.values() if hint.bits == 8]
    assert [round(hint.scale[0] * 255, 5) for hint in hints] == [6.0]


def filtered(rank: int = 2, bias: str = "b") -> Net:
    """Two filters along time, one behind the other."""
    made = net(
        [op("SVDF", f"x w t {bias} m", "h", "SVDF", Rank=rank, FusedActivationFunction=1),
         op("SVDF", "h v u - n", "y", "SVDF", Rank=1, FusedActivationFunction=1)],
        {"x": (1, 5)},
        {"w": reals(8, 5), "t": reals(8, 4), "b": reals(8 // rank),
         "v": reals(3, 8 // rank), "u": reals(3, 2)},
        states={"m": (1, 32), "n": (1, 6)},
    )  # fmt: skip
    return sized(made)


def filtered_in_integers() -> Net:
    """Memories of 16 bits, as the converter makes them; the zero points are the activation."""
    made = filtered()
    numbers = {"x": ("int8", 0.02), "h": ("int8", 0.05), "y": ("int8", 0.05), "w": ("int8", 0.01),
               "t": ("int16", 2**-15), "v": ("int8", 0.01), "u": ("int16", 2**-15),
               "m": ("int16", 2**-12), "n": ("int16", 2**-12), "b": ("int32", 2**-27)}  # fmt: skip
    tensors = {}
    for name, (kind, scale) in numbers.items():
        data = made.tensors[name].data
        limits = np.iinfo(kind)
        if data is not None:
            data = np.clip(np.round(data / scale), limits.min, limits.max).astype(kind)
        tensors[name] = replace(
            made.tensors[name],
            type=kind,
            scales=(scale,),
            data=data,
            zeros=(-128 if name in "hy" else 0,),
        )
    return with_tensors(made, **tensors)


def steps_of(made: Net, rows: Array) -> Array:
    """What the interpreter gives for one row after the other, in real numbers."""
    runner, found = interpreter(written(made)), []
    (source,), (result,) = runner.get_input_details(), runner.get_output_details()
    for row in rows:
        scale, zero = source["quantization"]
        runner.set_tensor(
            source["index"],
            np.round(row / scale + zero).clip(-128, 127).astype(np.int8) if scale else row,
        )
        runner.invoke()
        values = runner.get_tensor(result["index"])[0]
        scale, zero = result["quantization"]
        found.append((values - float(zero)) * scale if scale else values)
    return np.array(found)


@pytest.mark.parametrize(
    ("made", "tolerance"),
    [(filtered(), 1e-5), (filtered(1), 1e-5), (filtered(4), 1e-5), (filtered_in_integers(), 0.06)],
    ids=["rank 2", "rank 1", "rank 4", "integers"],
)
def test_filters_along_time_are_a_stream(made: Net, tolerance: float, tmp_path: Path) -> None:
    """Step by step as in the interpreter; that of integers rounds, here nothing is."""
    graph = load(made, tmp_path)
    assert graph.stream is not None
    assert len(graph.stream.states) == 2
    rows = reals(20, 1, 5)
    name = shown(graph)[0].tensor
    found = run_real(graph, {"x": rows.reshape(1, 20, *graph.shape("x")[1:])}, {name})[name]
    np.testing.assert_allclose(found.reshape(20, 3), steps_of(made, rows), atol=tolerance)


@pytest.mark.slow
def test_filters_along_time_are_exact_on_the_host(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(written(filtered_in_integers()))
    made = mcuq.compile(path, None, reals(60, 5), effort="fast")
    assert made.report.stream is not None
    assert made.report.judged is not None
    assert (made.report.judged.sqnr_db or 0.0) > 25
    assert [verdict.exact for verdict in made.check([], vectors=8)] == [True]


def test_the_same_fault_of_many_operators_is_said_once(tmp_path: Path) -> None:
    chain = [op(f"CUSTOM:Signal{i}", f"x{i}", f"x{i + 1}") for i in range(6)]
    (line,) = refusal(net(chain, {"x0": (1, 12)}, outputs="x6"), tmp_path)
    assert "nodes 'x1', 'x2', 'x3' and 3 more: CUSTOM:Signal computes features of sound" in line


def test_a_variable_set_to_another_shape_is_refused(tmp_path: Path) -> None:
    made = with_tensors(streaming(), next=Tensor((1, 1, 4)), s=Tensor((3,), "int32", ints(1, 1, 4)))
    (line,) = refusal(made, tmp_path)
    assert "variable 'rows' of shape (1, 2, 4) is set to shape (1, 1, 4)" in line


def test_a_variable_without_a_value_is_refused(tmp_path: Path) -> None:
    made = replace(with_variable(), graphs=(net([], {}, None, None, ""),))
    (line,) = refusal(made, tmp_path)
    assert "reads variables that the file gives no value" in line


def lstm(steps: int, **options: Any) -> Net:
    constants = {
        name: reals(3, *({"w": (5,), "r": (3,), "b": ()}[name[0]]))
        for name in LSTM
        if name[0] in "wrb"
    }
    operators = [
        op("UNIDIRECTIONAL_SEQUENCE_LSTM", " ".join(LSTM), "y", "UnidirectionalSequenceLSTM",
           FusedActivationFunction=4, **options)
    ]  # fmt: skip
    return net(operators, {"x": (1, steps, 5)}, constants, states={"h": (1, 3), "c": (1, 3)})


@pytest.mark.parametrize(("steps", "told"), [(10, False), (11, True)])
def test_a_clip_of_cells_that_may_bite_is_told(steps: int, told: bool, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(written(sized(lstm(steps, CellClip=10.0))))
    notes = tflite.to_onnx(path).notes
    assert [note.split(":")[0] for note in notes] == (["node 'y'"] if told else [])


REFUSED = {
    "IF chooses a graph while it runs": net([op("IF", "x", "y")]),
    "its weights do not fit its rank": net(
        [op("SVDF", "x w t - -", "y", "SVDF", Rank=3)], {"x": (1, 5)},
        {"w": reals(8, 5), "t": reals(8, 4)},
    ),
    "CUSTOM:Signal computes features of sound. Give the network behind it": net(
        [op("CUSTOM:SignalFft", "x", "y")]
    ),
    "CUSTOM:Flex is TensorFlow itself. Convert it without SELECT_TF_OPS": net(
        [op("CUSTOM:FlexErf", "x", "y")]
    ),
    "BIDIRECTIONAL_SEQUENCE_LSTM is not supported": net(
        [op("BIDIRECTIONAL_SEQUENCE_LSTM", "x", "y")]
    ),
    "SPACE_TO_BATCH_ND stands alone": net(
        [op("SPACE_TO_BATCH_ND", "x k p", "y")], None,
        {"k": ints(2, 2), "p": ints((0, 0), (0, 1))},
    ),
    "operator NON_MAX_SUPPRESSION_V5 is not supported": net(
        [op("NON_MAX_SUPPRESSION_V5", "x", "y")]
    ),
    "its weights are shuffled": net(
        [op("FULLY_CONNECTED", "x w -", "y", "FullyConnected", WeightsFormat=1)],
        {"x": (1, 12)}, {"w": reals(5, 12)},
    ),
    "its padding 7 is neither SAME nor VALID": net(
        [op("CONV_2D", "x w -", "y", "Conv2D", **window(Padding=7))], None,
        {"w": reals(6, 3, 2, 4)},
    ),
    "its input 0 is missing": net([op("GATHER_ND", "", "y")]),
    "its operands or options do not fit SPLIT_V": net(
        [op("SPLIT_V", "x s a", "y")], None, {"s": ints(1, 2, 3), "a": ints(1)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_refused_in_one_line(reason: str, tmp_path: Path) -> None:
    (line,) = refusal(with_tensors(REFUSED[reason], y=Tensor((1, 2))), tmp_path)
    assert line.startswith(f"net.tflite: node 'y': {reason}")
    assert ". " in line, "no remedy"


def test_a_zero_point_beyond_its_type_is_refused(tmp_path: Path) -> None:
    made = quantized(sized(DENSE), feeds_of(sized(DENSE)))
    made = with_tensors(made, x=replace(made.tensors["x"], zeros=(545460846595,)))
    (line,) = refusal(made, tmp_path)
    assert line.startswith("net.tflite: tensor 'x': has a zero point that is no int8")


CHAINS = (
    "CONV_2D same", "CONV_2D 1x1 relu6", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL",
    "AVERAGE_POOL_2D same", "MAX_POOL_2D valid", "CONCATENATION", "SOFTMAX beta", "LOGISTIC",
    "TANH", "HARD_SWISH", "LEAKY_RELU", "MEAN spatial", "PAD", "SQUARED_DIFFERENCE",
    "SPACE_TO_BATCH_ND one dimension", "RELU6",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("row", CHAINS)
def test_compiles_without_data(row: str, kind: str, tmp_path: Path) -> None:
    """The ranges are the model's own; integers are within a few of its steps."""
    if kind == "uint8" and row == "SQUARED_DIFFERENCE":
        kind = "int8"  # has no uint8 kernel
    made = quantized(sized(ROWS[row]), feeds_of(sized(ROWS[row])), kind)
    path = tmp_path / "net.tflite"
    path.write_bytes(written(made))
    compiled = compile_model(path)
    assert any("the ranges that the model states" in line for line in compiled.advice)
    assert compiled.report.quantized_model.tensors
    assert within(made, compiled, feeds_of(made)) <= 6


def within(made: Net, compiled: Compiled, feeds: dict[str, Array]) -> float:
    """The largest difference between integers and the float network, in steps of the model."""
    bundle = compiled.bundle
    rows = snapped(made, feeds)
    given = data.from_arrays(rows, bundle.graph)
    worst = 0.0
    exact = outputs(bundle.graph, rows)
    found = outputs_of(bundle.qgraph, feeds_to_int(bundle.qgraph, given))
    for port in bundle.qgraph.outputs:
        values = from_memory(port, port_to_real(port, found[port.name]))
        gap = np.abs(values.reshape(-1) - exact[port.name].reshape(-1)).max()
        worst = max(worst, float(gap) / made.tensors[port.name].scales[0])
    return worst


def test_float_models_need_data(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(written(sized(DENSE)))
    with pytest.raises(McuqError, match="no calibration data"):
        compile_model(path)


def test_a_wrong_import_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(written(sized(DENSE)))
    imported = importers.read(path)
    assert importers.check(imported) == ()
    tensors = dict(imported.graph.tensors)
    name = next(n for n, t in tensors.items() if t.data is not None and t.data.size == 8 * 12)
    tensors[name] = replace(tensors[name], data=-imported.graph.data(name))
    wrong = replace(imported, graph=replace(imported.graph, tensors=tensors))
    with pytest.raises(McuqError, match=r"net.tflite: node 'h.*mcuq reads it wrongly"):
        importers.check(wrong)


def test_inspect_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(written(sized(DENSE)))
    facts = inspect_model(path, None)
    assert (facts.macs, facts.weights) == (12 * 8 + 8 * 3, 12 * 8 + 8 + 8 * 3 + 3)


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(written(sized(DENSE)))
    assert importers.files_of(path) == (path,)
