"""Turns a checked ONNX model into a Graph, node by node, and gathers all that stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from mcuq.errors import McuqError, ModelError, raise_all
from mcuq.importers import fusion, layout, quantized
from mcuq.importers.builder import Builder, Refused, Value, check_size
from mcuq.importers.call import Call, Operand
from mcuq.importers.elementwise import plain_shape
from mcuq.importers.folding import fold
from mcuq.importers.handlers import HANDLERS
from mcuq.importers.lookahead import wished_layout
from mcuq.importers.onnx_file import OnnxModel
from mcuq.importers.steps import Step, needed, node_error, read_steps
from mcuq.importers.suggestions import remedy_for
from mcuq.ir import Array, Graph, Port

ON_INDICES = frozenset("Reshape Flatten Squeeze Unsqueeze Identity Cast Shape Size".split())
"""What may read the result of ArgMax."""


def to_graph(model: OnnxModel) -> Graph:
    """The float graph of ``model``; raises every fault at once."""
    steps, constants, faults = read_steps(model)
    steps = needed(fusion.fuse(steps, constants), model.outputs)
    builder = Builder()
    known: dict[str, Operand] = dict(constants)
    for name, shape in model.inputs:
        try:
            value = builder.input(name, shape)
        except Refused as error:
            thing = f"{model.name}: input '{name}'"
            raise ModelError(thing, error.reason, error.remedy) from error
        known[name] = value
        _settle_early(builder, value, wished_layout(name, steps))
    for step in steps:
        fault = _import(step, model, builder, known)
        if fault is not None:
            faults.append(fault)
    raise_all(faults)
    ports, faults = _outputs(model, builder, known)
    raise_all(faults)
    return Graph(
        Path(model.name).stem,
        tuple(_input_port(builder, known, name) for name, _ in model.inputs),
        ports,
        tuple(builder.nodes),
        dict(builder.tensors),
        dict(builder.hints),
    )


def _settle_early(builder: Builder, value: Value, wish: str | None) -> None:
    """Fix the layout of an input that is read element by element first."""
    if wish == "own":
        builder.settle(value, value.view, plain_shape(value.shape))
    elif wish == "channels last" and len(value.shape) in (3, 4):
        wanted = layout.channels_last(value.shape)
        builder.settle(value, wanted, layout.image_shape(value.shape))


def _import(
    step: Step, model: OnnxModel, builder: Builder, known: dict[str, Operand]
) -> McuqError | None:
    """Add one step; the fault, if it has one (its results are then missing from ``known``)."""
    inputs = [known.get(n) if n else None for n in step.inputs]
    complete = all(not n or n in known for n in step.inputs)
    constant = complete and not any(isinstance(i, Value) for i in inputs)
    if not constant and step.op not in HANDLERS:
        reason = f"operator {step.op} is not supported"
        return node_error(model.name, step.name, reason, remedy_for(step.op))
    if not complete:
        return None
    try:
        if constant:
            arrays = [i if isinstance(i, np.ndarray) else None for i in inputs]
            folded = fold(step.proto, arrays, model.opset)
            for array in folded:
                builder.claim(array.shape)
            results: list[Operand] = [*folded]
            grid = quantized.grid_of(step, known, builder.grids)
            builder.grids.update({} if grid is None else {step.outputs[0]: grid})
        else:
            call = Call(
                builder, step.op, step.name, step.attrs, tuple(inputs), step.inputs,
                step.outputs, model.opset,
            )  # fmt: skip
            _check_indices(call, builder)
            results = [quantized.integers(call, HANDLERS[step.op])]
            _check(results[0])
    except Refused as error:
        return node_error(model.name, step.name, error.reason, error.remedy)
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        reason = f"its inputs or attributes do not fit operator {step.op} ({error})"
        return node_error(model.name, step.name, reason, "Check it with onnx.checker")
    known.update(zip((o for o in step.outputs if o), results, strict=False))
    return None


def _check_indices(call: Call, builder: Builder) -> None:
    """Refuse arithmetic on the indices that ArgMax gives."""
    if call.op in ON_INDICES:
        return
    values = [operand for operand in call.inputs if isinstance(operand, Value)]
    if any(builder.makers.get(value.tensor) == "argmax" for value in values):
        raise Refused("it computes with the indices of ArgMax", "Let ArgMax be the last operator")


def _check(result: Operand) -> None:
    if isinstance(result, Value):
        check_size(result.shape)


def _input_port(builder: Builder, known: Mapping[str, Operand], name: str) -> Port:
    value = known[name]
    if not isinstance(value, Value):
        raise TypeError(f"{name} is an input")
    return Port(name, value.tensor, value.shape, _order(builder.places(value)))


def _outputs(
    model: OnnxModel, builder: Builder, known: Mapping[str, Operand]
) -> tuple[tuple[Port, ...], list[McuqError]]:
    ports: list[Port] = []
    faults: list[McuqError] = []
    for name in model.outputs:
        value = known.get(name)
        if not isinstance(value, Value) or value.tensor not in builder.makers:
            what = "an input" if isinstance(value, Value) else "a constant"
            reason = f"output '{name}' is {what}: there is nothing to compute"
            faults.append(ModelError(model.name, reason, "Remove that output"))
            continue
        if name in builder.pairs:
            reason = f"output '{name}' holds integers"
            faults.append(ModelError(model.name, reason, "Let DequantizeLinear be the last node"))
            continue
        shape = value.shape if value.shape and value.shape[0] == 1 else (1, *value.shape)
        kind = "s32" if builder.makers[value.tensor] == "argmax" else "s8"
        ports.append(Port(name, value.tensor, shape, _order(builder.places(value)), kind))
    return tuple(ports), faults


def _order(places: Array) -> Array | None:
    """The order of a port: None where it is the user's own."""
    return None if np.array_equal(places, layout.identity(prod(places.shape))) else places
