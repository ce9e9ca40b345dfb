"""Loops that are recurrent layers, against LiteRT's own loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_models import Net, Tensor, net, op, run, written

import mcuq
from mcuq import importers
from mcuq.errors import McuqError
from mcuq.ir import Graph, from_memory, to_memory
from mcuq.reference import outputs_of

STEPS, INPUTS, UNITS = 7, 5, 3


def reals(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int32)


def shaped(made: Net, **shapes: tuple[int, ...]) -> Net:
    """``made`` with the shapes of what it computes; counters are whole numbers."""
    tensors = dict(made.tensors)
    for name, shape in shapes.items():
        kind = "int32" if name[0] == "i" else "bool" if name[0] == "?" else "float32"
        tensors[name] = replace(tensors[name], shape=shape, type=kind)
    return replace(made, tensors=tensors)


def condition(arguments: dict[str, tuple[int, ...]]) -> Net:
    made = net([op("LESS", "j n", "?a"), op("LESS", "i n", "?b"),
                op("LOGICAL_AND", "?a ?b", "?c", "LogicalAnd")],
               arguments, {"n": np.int32(STEPS)}, {"i": "int32", "j": "int32"}, "?c")  # fmt: skip
    return shaped(made, **{"?a": (), "?b": (), "?c": ()})


def lstm_step() -> tuple[list[Any], dict[str, Any], dict[str, tuple[int, ...]]]:
    gates, units = (1, 4 * UNITS), (1, UNITS)
    operators = [
        op("FULLY_CONNECTED", "h r -", "hr", "FullyConnected"),
        op("FULLY_CONNECTED", "row w -", "xw", "FullyConnected"),
        op("ADD", "xw hr", "s", "Add"), op("ADD", "s b", "z", "Add"),
        op("SPLIT", "one z", "zi zf zg zo", "Split", NumSplits=4),
        op("LOGISTIC", "zi", "ai"), op("LOGISTIC", "zf", "af"), op("LOGISTIC", "zo", "ao"),
        op("TANH", "zg", "ag"), op("MUL", "af c", "fc", "Mul"), op("MUL", "ai ag", "gi", "Mul"),
        op("ADD", "fc gi", "c2", "Add"), op("TANH", "c2", "ct"), op("MUL", "ao ct", "h2", "Mul"),
    ]  # fmt: skip
    constants = {"w": reals(4 * UNITS, INPUTS), "r": reals(4 * UNITS, UNITS, seed=1),
                 "b": reals(4 * UNITS, seed=2), "one": np.int32(1)}  # fmt: skip
    names = "zi zf zg zo ai af ao ag fc gi c2 ct h2".split()
    shapes = {**dict.fromkeys(("hr", "xw", "s", "z"), gates), **dict.fromkeys(names, units)}
    return operators, constants, shapes


def gru_step() -> tuple[list[Any], dict[str, Any], dict[str, tuple[int, ...]]]:
    gates, units = (1, 3 * UNITS), (1, UNITS)
    operators = [
        op("FULLY_CONNECTED", "row w b", "xw", "FullyConnected"),
        op("FULLY_CONNECTED", "h r -", "hr", "FullyConnected"), op("ADD", "hr d", "hb", "Add"),
        op("SPLIT", "one xw", "xz xr xh", "Split", NumSplits=3),
        op("SPLIT", "one hb", "hz hq hh", "Split", NumSplits=3),
        op("ADD", "xz hz", "sz", "Add"), op("LOGISTIC", "sz", "z"),
        op("ADD", "xr hq", "sr", "Add"), op("LOGISTIC", "sr", "q"),
        op("MUL", "q hh", "qh", "Mul"), op("ADD", "xh qh", "sh", "Add"), op("TANH", "sh", "n"),
        op("MUL", "z h", "zh", "Mul"), op("SUB", "unit z", "y1", "Sub"),
        op("MUL", "y1 n", "zn", "Mul"), op("ADD", "zh zn", "h2", "Add"),
    ]  # fmt: skip
    constants = {"w": reals(3 * UNITS, INPUTS), "r": reals(3 * UNITS, UNITS, seed=1),
                 "b": reals(3 * UNITS, seed=2), "d": reals(3 * UNITS, seed=3),
                 "one": np.int32(1), "unit": np.float32(1)}  # fmt: skip
    names = "xz xr xh hz hq hh sz z sr q qh sh n zh y1 zn h2".split()
    shapes = {**dict.fromkeys(("hr", "xw", "hb"), gates), **dict.fromkeys(names, units)}
    return operators, constants, shapes


STEP = {"LSTM": lstm_step, "GRU": gru_step}


def loop(kind: str = "LSTM", whole: bool = True, **changes: Any) -> Net:
    """A WHILE as Keras's layer, whose list is filled in place: all steps, or the last alone.

    ``changes``: other operators of the body by their outputs.
    """
    operators, constants, shapes = STEP[kind]()
    count = STEPS if whole else 1
    states = ("h", "c") if kind == "LSTM" else ("h",)
    arguments = {"j": (), "i": (), "l": (count, 1, UNITS),
                 **dict.fromkeys(states, (1, UNITS)), "x": (STEPS, 1, INPUTS)}  # fmt: skip
    place = [op("PACK", "i o o", "it", "Pack", ValuesCount=3)] if whole else []
    operators = [
        op("ADD", "j one", "j2", "Add"), op("ADD", "i one", "i2", "Add"),
        op("GATHER", "x i", "row", "Gather"), *operators,
        op("EXPAND_DIMS", "h2 zero", "e", "ExpandDims"), *place,
        op("DYNAMIC_UPDATE_SLICE", f"l e {'it' if whole else 'start'}", "l2",
           "DynamicUpdateSlice"),
    ]  # fmt: skip
    operators = [changes.get(each.outputs[0], each) for each in operators]
    constants |= {"zero": np.int32(0), "o": np.int32(0), "start": ints(0, 0, 0)}
    used = {name for each in operators for name in each.inputs}
    outputs = " ".join(("j2 i2 l2", *(f"{name}2" for name in states), "x"))
    body = net(operators, arguments, {n: v for n, v in constants.items() if n in used},
               {"i": "int32", "j": "int32", "j2": "int32"}, outputs)  # fmt: skip
    more = {"it": (3,)} if whole else {}
    body = shaped(body, **shapes, j2=(), i2=(), row=(1, INPUTS), e=(1, 1, UNITS),
                  l2=(count, 1, UNITS), **more)  # fmt: skip
    body = replace(body, tensors={**body.tensors, "j2": Tensor((), "int32")})
    starts = " ".join(f"{name}0" for name in states)
    ends = " ".join(f"{name}9" for name in states)
    main = net(
        [op("TRANSPOSE", "data p", "t", "Transpose"),
         op("WHILE", f"k0 k0 l0 {starts} t", f"i8 i9 l9 {ends} t9", "While",
            CondSubgraphIndex=1, BodySubgraphIndex=2),
         op("ADD", "l9 half", "y", "Add"), op("ADD", "h9 half", "last", "Add")],
        {"data": (1, STEPS, INPUTS)},
        {"p": ints(1, 0, 2), "k0": np.int32(0), "l0": np.zeros((count, 1, UNITS), np.float32),
         **{f"{name}0": np.zeros((1, UNITS), np.float32) for name in states},
         "half": np.float32(0.5)}, None, "y last",
    )  # fmt: skip
    main = shaped(main, t=(STEPS, 1, INPUTS), i8=(), i9=(), l9=(count, 1, UNITS),
                  t9=(STEPS, 1, INPUTS), y=(count, 1, UNITS), last=(1, UNITS),
                  **{f"{name}9": (1, UNITS) for name in states})  # fmt: skip
    return replace(main, graphs=(condition(arguments), body))


def load(made: Net, folder: Path) -> Graph:
    path = folder / "net.tflite"
    path.write_bytes(written(made))
    return importers.load(path)


def outputs(graph: Graph, rows: Any) -> dict[str, Any]:
    port = graph.inputs[0]
    found = outputs_of(graph, {port.name: to_memory(port, graph.shape(port.tensor), rows)})
    return {port.name: from_memory(port, found[port.name]) for port in graph.outputs}


@pytest.mark.parametrize("whole", [True, False], ids=["all steps", "the last"])
@pytest.mark.parametrize("kind", STEP)
def test_a_loop_is_a_layer(kind: str, whole: bool, tmp_path: Path) -> None:
    made = loop(kind, whole)
    rows = reals(1, STEPS, INPUTS, seed=9)
    wanted = run(written(made), {"data": rows})
    graph = load(made, tmp_path)
    assert kind.lower() in [each.op for each in graph.nodes]
    for name, values in outputs(graph, rows).items():
        np.testing.assert_allclose(values.reshape(wanted[name].shape), wanted[name], atol=1e-5)


@pytest.mark.parametrize("whole", [True, False], ids=["all steps", "the last"])
def test_lists_of_tensorflow_itself(whole: bool, tmp_path: Path) -> None:
    """The converter leaves them where it is told to select operators of TensorFlow."""
    rows = reals(1, STEPS, INPUTS, seed=9)
    wanted = outputs(load(loop("LSTM", whole), tmp_path), rows)
    made = loop("LSTM", whole)
    index = "i" if whole else "zero"
    body = replace(made.graphs[1], operators=tuple(
        op("CUSTOM:FlexTensorListSetItem", f"l {index} h2", "l2")
        if each.op == "DYNAMIC_UPDATE_SLICE" else each for each in made.graphs[1].operators
    ))  # fmt: skip
    first = op("CUSTOM:FlexTensorListReserve", "p k0", "l1")
    main = [first]
    for each in made.operators:
        if each.op == "WHILE":
            main.append(replace(each, inputs=("k0", "k0", "l1", *each.inputs[3:])))
            main.append(op("CUSTOM:FlexTensorListStack", "l9 p", "stack"))
        else:
            main.append(replace(each, inputs=tuple(
                "stack" if name == "l9" else name for name in each.inputs)))  # fmt: skip
    tensors = {**made.tensors, "l1": Tensor(()), "stack": made.tensors["l9"]}
    flex = replace(made, operators=tuple(main), tensors=tensors, graphs=(made.graphs[0], body))
    found = outputs(load(flex, tmp_path), rows)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)


OTHERS = {
    "another function": {"ct": op("LOGISTIC", "c2", "ct")},
    "an activation": {"h2": op("MUL", "ao ct", "h2", "Mul", FusedActivationFunction=1)},
    "exchanged gates": {"gi": op("MUL", "af ag", "gi", "Mul")},
    "another row": {"row": op("GATHER", "x zero", "row", "Gather")},
    "another step": {"i2": op("ADD", "i i", "i2", "Add")},
    "another list": {"l2": op("MUL", "l l", "l2", "Mul")},
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_loop_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="no LSTM or GRU as Keras writes them"):
        load(loop(**OTHERS[name]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STEP)
def test_a_loop_is_exact_on_the_host(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(written(loop(kind, False)))
    made = mcuq.compile(path, None, reals(60, STEPS, INPUTS), effort="fast")
    assert [verdict.exact for verdict in made.check([], vectors=4)] == [True]
