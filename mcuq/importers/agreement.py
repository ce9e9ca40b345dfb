"""Compares an imported graph with its source, on a few rows: what differs is refused.

The ONNX model is run by onnx's reference evaluator, and every value that both sides know is
compared, first ones first; what a torch module or program computes is compared after that. Where
onnx's evaluator does not agree, ONNX Runtime decides, if it is installed.

Two rows are run, or one where an inference takes more than 50 million products; a network that
states a batch of N gets N. Equal means: within 1e-4 of the value and 2e-5 of the tensor's largest
(ten times that where an activation was recognised by its shape, which is right to 1e-4), or
within 50 times what float32 instead of float64 changes. Of a quantized model both sides keep
its limits and leave out its rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mcuq.data.feeds import user_reals
from mcuq.data.rows import rows_of
from mcuq.errors import ModelError
from mcuq.importers import onnx_run
from mcuq.importers.imported import Imported, Values
from mcuq.importers.nodes.builder import Value
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array, Graph, Hint, Node, Port, Tensor, from_memory, to_memory, unique_name
from mcuq.ops import index_limit, products, spec
from mcuq.passes.describe_sound import model_input
from mcuq.reference import outputs_of, run_float

ROWS = 2
HEAVY = 50_000_000
"""Products of one inference above which one row must do."""

MOST = 4_000_000_000
"""Products in all above which nothing is compared: a large network with a large stated batch."""

RELATIVE, OF_PEAK = 1e-4, 2e-5
FUSED = 10.0
NOISE = 50.0
TINY = 1e-30
"""Smaller values are zero: float32 and its functions underflow where float64 does not."""

_REPORT = "Please report the model: mcuq reads it wrongly"
_REWRITE = (
    "Write it with other operators: torch's exporter leaves some arguments out, such as "
    "divisor_override of avg_pool2d"
)


@dataclass(frozen=True)
class _Difference:
    """Where two sides differ; the values of the element with the largest difference."""

    name: str
    node: str
    found: float
    wanted: float

    def __str__(self) -> str:
        return f"is {self.found:.6g} where it should be {self.wanted:.6g}"


def check(
    imported: Imported, ready: Graph | None = None, feeds: Mapping[str, Array] | None = None
) -> tuple[str, ...]:
    """Refuse ``imported`` if it computes something else than its source.

    ``ready``: the same after all passes, its inputs described maybe, which must compute the same,
    too; ``feeds``: rows as it reads them. Without feeds seeded ones are made. Returns a line of
    advice if the source could not be run.
    """
    graph, count = imported.graph, _count(imported)
    if not count:
        return ("not compared with its source, which states a large batch",)
    if ready is not None and feeds:
        chosen = _repeated(feeds, count)
        given = {
            own.name: _as_imported(graph, own, ready, port, chosen[port.name])
            for own, port in zip(graph.inputs, ready.inputs, strict=True)
        }
        _check_passes(imported, given, ready, chosen)
    else:
        given = _seeded(graph, count)
    inside = {p.name: _limited(given[p.name], graph.hints.get(p.tensor)) for p in graph.inputs}
    own = run_float(_with_limits(graph), inside)
    if not all(bool(np.isfinite(values).all()) for values in own.values()):
        return ()  # which the quantizer refuses, and says where
    user = {port.name: from_memory(port, inside[port.name]) for port in graph.inputs}
    said = ""
    for compare in (_check_onnx, *([] if imported.torch is None else [_check_torch])):
        try:
            compare(imported, own, user)
            said = ""
        except onnx_run.NotRunError as error:
            said = f"not compared with its source: {error}"
    return (said,) if said else ()


def _as_imported(graph: Graph, own: Port, ready: Graph, port: Port, rows: Array) -> Array:
    """What ``graph`` reads where ``ready`` reads ``rows`` at ``port``; features of samples."""
    shape = graph.shape(own.tensor)
    if port.shape != own.shape:
        return model_input(ready, port, own, shape, rows)
    return to_memory(own, shape, user_reals(port, rows))


def _check_passes(
    imported: Imported, rows: Mapping[str, Array], ready: Graph, feeds: Mapping[str, Array]
) -> None:
    """The outputs of the graph before and after the passes."""
    before, after = outputs_of(imported.graph, rows), outputs_of(ready, feeds)
    for port in imported.graph.outputs:
        wanted, found = (v[port.name].reshape(-1) for v in (before, after))
        apart = _apart(found.astype(np.float64), wanted.astype(np.float64), FUSED)
        if port.kind != "s32" and apart.any():
            different = _difference(port.name, "", found, wanted)
            where = f"{imported.model.name}: output '{port.name}'"
            raise ModelError(where, f"{different} after its layers were joined", _REPORT)


def _count(imported: Imported) -> int:
    """How many rows to run; 0 if that would take too long."""
    work, stated = products(imported.graph), imported.rows
    if stated > 1:
        return stated if stated * work <= MOST else 0
    return 1 if work > HEAVY else ROWS


def _seeded(graph: Graph, count: int) -> dict[str, Array]:
    """Normal numbers; within its limits where a quantized model states them; indices."""
    chance = np.random.default_rng(0)
    found = {}
    for port in graph.inputs:
        shape, hint = (count, *graph.shape(port.tensor)[1:]), graph.hints.get(port.tensor)
        limit = index_limit(graph, port.tensor)
        if limit is not None:
            found[port.name] = chance.integers(0, limit, shape).astype(np.float32)
            continue
        made = chance.normal(size=shape) if hint is None else chance.uniform(*_span(hint), shape)
        found[port.name] = made.astype(np.float32)
    return found


def _repeated(rows: Mapping[str, Array], count: int) -> dict[str, Array]:
    """``count`` rows of each input, evenly spaced, and again from the first if there are fewer."""
    found = {}
    for name, values in rows.items():
        places = np.arange(count) * max(1, len(values) // count) % len(values)
        found[name] = values[places].astype(np.float32)
    return found


def _limited(values: Array, hint: Hint | None) -> Array:
    """Inputs that no quantized model cuts off; one that limits them to -127 is taken for -128."""
    if hint is None:
        return values
    low, high = _span(hint)
    return np.clip(values, low + hint.scale[0], high - hint.scale[0]).astype(np.float32)


def _span(hint: Hint) -> tuple[float, float]:
    top = 1 << (hint.bits - 1)
    return (-top - hint.zero) * hint.scale[0], (top - 1 - hint.zero) * hint.scale[0]


def _with_limits(graph: Graph) -> Graph:
    """``graph`` in which every tensor of a quantized model keeps to what its integers hold."""
    nodes: list[Node] = []
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        name = node.output
        if name not in graph.hints:
            nodes.append(node)
            continue
        raw = unique_name(tensors, f"{name}.unlimited")
        tensors[raw] = Tensor(raw, graph.shape(name))
        low, high = _span(graph.hints[name])
        nodes.append(replace(node, outputs=(raw,)))
        nodes.append(Node("clip", raw, (raw,), (name,), {"low": low, "high": high}))
    return replace(graph, nodes=tuple(nodes), tensors=tensors)


def _check_onnx(imported: Imported, own: Values, user: Values) -> None:
    """Every value of the ONNX model, as it is computed."""
    for rows, part in _parts(imported, user):
        try:
            found = _first(imported, own, rows, part)
        except onnx_run.NotRunError as error:
            found = _by_runtime(imported, own, rows, part, str(error))
        else:
            if found is not None and onnx_run.has_runtime():
                found = found if _by_runtime(imported, own, rows, part, "") else None
        if found is not None:
            where = f"{imported.model.name}: node '{found.node}'"
            raise ModelError(where, f"its result '{found.name}' {found}", _REPORT)


def _by_runtime(
    imported: Imported, own: Values, rows: slice, part: Values, reason: str
) -> _Difference | None:
    """The first output that differs from ONNX Runtime's; ``reason``: why it is asked."""
    wanted = onnx_run.by_runtime(imported.model, part)
    if wanted is None:
        raise onnx_run.NotRunError(reason)
    for name, real in wanted.items():
        value = imported.values[name]
        found = _as_user(own[value.tensor][rows], value)
        if real.size != found.size:
            return _Difference(name, name, float(found.size), float(real.size))
        target = _rows_first(real, value).reshape(found.shape).astype(np.float64)
        if _apart(found, target, FUSED).any():
            return _difference(name, name, found, target)
    return None


def _parts(imported: Imported, user: Values) -> Iterator[tuple[slice, Values]]:
    """The rows to run at once: one by one, or as many as the model states."""
    size = imported.rows
    for first in range(0, rows_of(user), size):
        rows = slice(first, first + size)
        shaped = {n: values[rows].reshape(imported.shapes[n]) for n, values in user.items()}
        yield rows, shaped


def _first(imported: Imported, own: Values, rows: slice, part: Values) -> _Difference | None:
    """The first value that differs beyond float noise."""
    noisy: list[tuple[OnnxStep, str, Array, Array]] = []
    for step, values in onnx_run.run(imported.whole, part):
        for name in step.outputs:
            value = imported.values.get(name)
            if value is None:
                continue
            wanted = _comparable(imported, step, name, values, own[value.tensor][rows])
            if wanted is None:
                continue
            found = _as_user(own[value.tensor][rows], value)
            if found.size != wanted.size:
                return _Difference(name, step.name, float(found.size), float(wanted.size))
            target = _rows_first(wanted, value).reshape(found.shape)
            if _apart(found, target, _looseness(imported)).any():
                noisy.append((step, name, found, target))
    return _beyond_noise(imported, part, noisy) if noisy else None


def _comparable(
    imported: Imported, step: OnnxStep, name: str, values: Values, own: Array
) -> Array | None:
    """What the value should be; None for what follows from an index, which may be a tie."""
    graph, value = imported.graph, imported.values[name]
    maker = graph.producer(value.tensor)
    if maker is None or not spec(maker.op).gives_indices:
        hint = graph.hints.get(value.tensor)
        return values[name] if hint is None else np.clip(values[name], *_span(hint))
    if step.op not in ("ArgMax", "ArgMin"):
        return None
    axis = _batch_axis(values[name], value)
    shape = np.moveaxis(values[name], axis, 0).shape
    return _with_ties(step, values, np.moveaxis(_as_user(own, value).reshape(shape), 0, axis))


def _with_ties(step: OnnxStep, values: Values, found: Array) -> Array:
    """The indices, or those of ``found`` where they have as large a value."""
    scores, wanted = values[step.inputs[0]], values[step.outputs[0]]
    axis = int(step.attrs.get("axis", 0))
    keep = bool(step.attrs.get("keepdims", 1))
    index = found if keep else np.expand_dims(found, axis)
    inside = np.clip(index.astype(np.int64), 0, scores.shape[axis] - 1)
    chosen = np.take_along_axis(scores, inside, axis)
    extreme = scores.max if step.op == "ArgMax" else scores.min
    best = extreme(axis=axis, keepdims=True)
    tied = ~_apart(chosen, best, FUSED) & (inside == index)
    return np.where(tied if keep else tied.squeeze(axis), found, wanted)


def _as_user(own: Array, value: Value) -> Array:
    """(N, elements) of the value, in the order of the model."""
    return own.reshape(len(own), -1)[:, value.view].astype(np.float64)


def _batch_axis(real: Array, value: Value) -> int:
    """Where the rows of ``real`` are: the model may have moved them behind other axes."""
    if real.ndim != len(value.shape):
        return 0
    apart = [i for i, size in enumerate(value.shape) if size != real.shape[i]]
    return apart[0] if len(apart) == 1 and value.shape[apart[0]] == 1 else 0


def _rows_first(real: Array, value: Value) -> Array:
    return np.moveaxis(real, _batch_axis(real, value), 0) if real.ndim else real


def _looseness(imported: Imported) -> float:
    return FUSED if imported.fused else 1.0


def _apart(found: Array, wanted: Array, looseness: float, noise: float = 0.0) -> Array:
    """Where two arrays differ by more than rounding may."""
    sane = np.isfinite(wanted)
    target = np.where(sane, wanted, 0.0)
    peak = float(np.abs(target).max(initial=0.0))
    room = looseness * (RELATIVE * np.abs(target) + OF_PEAK * peak) + NOISE * noise + TINY
    apart: Array = sane & (np.abs(found - target) > room)
    return apart


def _beyond_noise(
    imported: Imported, part: Values, noisy: list[tuple[OnnxStep, str, Array, Array]]
) -> _Difference | None:
    """The first of the differing values that float32 in place of float64 does not explain."""
    names = {name for _, name, _, _ in noisy}
    rounded: Values = {}
    for step, values in onnx_run.run(imported.whole, part, np.float32):
        rounded |= {name: values[name] for name in step.outputs if name in names}
    for step, name, found, wanted in noisy:
        real = _rows_first(rounded[name], imported.values[name])
        near = real.reshape(wanted.shape).astype(np.float64)
        both = np.isfinite(near) & np.isfinite(wanted)
        noise = float(np.abs(np.where(both, near - wanted, 0.0)).max(initial=0.0))
        apart = _apart(found, wanted, _looseness(imported), noise)
        if apart.any():
            return _difference(name, step.name, found, wanted)
    return None


def _difference(name: str, node: str, found: Array, wanted: Array) -> _Difference:
    worst = int(np.abs(np.where(np.isfinite(wanted), found - wanted, 0.0)).argmax())
    return _Difference(name, node, float(found.flat[worst]), float(wanted.flat[worst]))


def _check_torch(imported: Imported, own: Values, user: Values) -> None:
    """What the module or program itself computes, where its values have the names of ours."""
    if imported.torch is None:
        return
    for rows, part in _parts(imported, user):
        for name, wanted in imported.torch(part).items():
            value = imported.values.get(name)
            if value is None or prod(wanted.shape) != len(own[value.tensor][rows]) * len(
                value.view
            ):
                continue
            found = _as_user(own[value.tensor][rows], value)
            target = _rows_first(wanted, value).reshape(found.shape).astype(np.float64)
            if _apart(found, target, FUSED).any():
                where = f"{imported.model.name}: value '{name}'"
                different = _difference(name, "", found, target)
                raise ModelError(where, f"{different}, as torch computes it", _REWRITE)
