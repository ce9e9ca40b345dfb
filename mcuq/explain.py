"""Where the integer network loses accuracy: layer by layer, by cause, with the cheapest fix.

Every layer's integers are held against the float network. Then the float network runs once more
per layer and cause, with only that error in it: rounded weights, a rounded output, or a clipped
output. What reaches the network's output is that layer's and that cause's part in the noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mcuq.bundle import Bundle
from mcuq.data import rows_of
from mcuq.evaluate import sqnr
from mcuq.ir import Array, Graph, Node
from mcuq.ops import spec
from mcuq.ops.clip import clamp
from mcuq.progress import Progress, silent
from mcuq.qir import QGraph, QTensor
from mcuq.quantize.bias import correct_biases
from mcuq.quantize.guard import output_error
from mcuq.quantize.limits import frac_of, limit_fracs
from mcuq.quantize.scales import dictated
from mcuq.quantize.simulate import (
    constants_of,
    decibels,
    output_names,
    relative_error,
    rounded_pad,
)
from mcuq.quantize.state import Options, State
from mcuq.quantize.structure import activations, group_of, keeps_scale, weighted
from mcuq.reference import port_to_int, run_float, run_int

ROWS = 32
INJECTED_ROWS = 16
"""So many of them are run again and again with one error in them."""
WORTH_DB = 0.05
"""A smaller gain is not worth naming."""
WORST = 3
"""For so many layers a fix is sought."""
FEW_ROWS = 100
CAUSES = ("weights", "rounding", "clipping")


@dataclass(frozen=True)
class Layer:
    """One tensor and the layer that writes it, over the given rows.

    ``sqnr_db`` and ``cosine``: its integers against the float network, all errors so far in them.
    ``clipped``: share of the float values outside its range. ``used``: share of the 256 integers
    between its lowest and its highest. ``noise``: by cause, noise power over signal power that it
    alone brings to the network's output. ``zero``: it is 0 for every row.
    """

    name: str
    op: str
    tensor: str
    frac: int
    sqnr_db: float
    cosine: float
    clipped: float
    used: float
    noise: Mapping[str, float]
    zero: bool

    @property
    def total(self) -> float:
        return sum(self.noise.values())


@dataclass(frozen=True)
class Fix:
    """What to do about a layer: ``gain_db`` at the output (None: unknown), and its ``price``."""

    layer: str
    cause: str
    text: str
    price: str
    gain_db: float | None = None


@dataclass(frozen=True)
class Explanation:
    """``steps``: what each step of the quantization did, as in the report."""

    rows: int
    output_sqnr_db: float
    steps: Sequence[Mapping[str, Any]]
    layers: tuple[Layer, ...]
    fixes: tuple[Fix, ...]
    advice: tuple[str, ...]

    def worst(self) -> list[Layer]:
        """The layers by the noise that they bring to the output, the loudest first."""
        return sorted(self.layers, key=lambda layer: -layer.total)

    def share(self, layer: Layer, cause: str) -> float:
        """The part of a layer and cause in the noise of all layers, 0..1."""
        whole = sum(other.total for other in self.layers)
        return layer.noise[cause] / whole if whole > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        layers = []
        for layer in self.layers:
            shares = {cause: round(self.share(layer, cause), 6) for cause in CAUSES}
            facts = {k: _finite(v) for k, v in asdict(layer).items() if k != "noise"}
            layers.append({**facts, "share_of_noise": shares})
        return {
            "rows": self.rows,
            "output_sqnr_db": _finite(self.output_sqnr_db),
            "steps": list(self.steps),
            "layers": layers,
            "fixes": [asdict(fix) for fix in self.fixes],
            "advice": list(self.advice),
        }


def explain(
    made: Bundle, feeds: Mapping[str, Array] | None = None, progress: Progress = silent
) -> Explanation:
    """Explain a compiled model on ``feeds`` (as ``data.load`` returns them for its graph).

    Without them, on the calibration rows in the bundle; at most 32 rows, evenly spaced.
    """
    graph, qgraph = made.rounded or made.graph, made.qgraph
    integers, reals = _inputs(graph, qgraph, made.vectors, feeds)
    state = state_of(graph, qgraph, reals)
    progress("integer network", 0.0)
    found = run_int(qgraph, integers)
    injected = _Injected(state, {n: _thinned(v, INJECTED_ROWS) for n, v in reals.items()})
    exact = run_float(graph, reals)
    layers = []
    names = [name for name in activations(graph) if state.acts[name].kind != "s32"]
    for index, name in enumerate(names):
        progress("error by layer", index / len(names))
        layers.append(_layer(injected, name, exact[name], found[name]))
    outputs = {n: _real(found[n], state.acts[n]) for n in injected.outputs}
    progress("fixes", 1.0)
    quantization = made.quantization.get("quantization", {})
    result = Explanation(
        rows_of(reals),
        decibels(relative_error({n: exact[n] for n in outputs}, outputs)),
        quantization.get("steps", ()),
        tuple(layers),
        (),
        tuple(f"layer '{x.name}' gives 0 for every row" for x in layers if x.zero),
    )
    return _with_fixes(result, state, quantization)


def state_of(graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array]) -> State:
    """The numbers of ``qgraph`` as the state of a quantization of ``graph``."""
    acts = {name: qgraph.tensors[name] for name in activations(graph)}
    weights, biases = {}, {}
    layers = {node.name: node for node in qgraph.nodes}
    for node in weighted(graph):
        layer = layers[node.name]
        _, w, b = (qgraph.tensors[name] for name in layer.inputs)
        weights[node.inputs[1]] = w
        biases[node.inputs[2]] = _real_bias(layer, qgraph, w, b)
    return State(graph, feeds, Options(), acts=acts, weights=weights, biases=biases)


def _real_bias(layer: Node, qgraph: QGraph, w: QTensor, b: QTensor) -> Array:
    """The bias without the rounding constant and the zeros that are folded into it."""
    x, y = qgraph.tensors[layer.inputs[0]], qgraph.tensors[layer.output]
    assert w.data is not None
    assert b.data is not None
    axis = 2 if layer.op == "depthwise_conv2d" else 0
    sums = np.moveaxis(w.data.astype(np.int64), axis, 0).reshape(len(b.data), -1).sum(axis=1)
    shift = np.array(layer.ints("shift"), np.int64)
    steps = b.data + x.zero * sums - ((1 << shift) >> 1) - y.zero * (1 << shift)
    reals: Array = steps * 2.0 ** -np.array(b.frac, np.float64)
    return reals.astype(np.float32)


def _inputs(
    graph: Graph,
    qgraph: QGraph,
    vectors: Mapping[str, Array],
    feeds: Mapping[str, Array] | None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """By input name: what the integer network reads, and what ``graph`` reads."""
    integers, reals = {}, {}
    for port, outer in zip(graph.inputs, qgraph.inputs, strict=True):
        act = qgraph.tensors[outer.tensor]
        given = _thinned(vectors[port.name] if feeds is None else feeds[port.name])
        if feeds is None or given.dtype == np.uint8:
            integers[port.name] = given
            reals[port.name] = _real(given, act)
            continue
        integers[port.name] = port_to_int(outer, given)
        scale, offset = np.array(outer.scale), np.array(outer.offset)
        steps = given.astype(np.float64) / scale + offset - act.zero
        reals[port.name] = steps * 2.0 ** -frac_of(act)
    return integers, {n: v.astype(np.float32) for n, v in reals.items()}


def _thinned(values: Array, count: int = ROWS) -> Array:
    """``count`` rows, evenly spaced; all if there are no more."""
    kept = np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)
    rows: Array = values[kept]
    return rows


def _real(integers: Array, act: QTensor) -> Array:
    reals: Array = (integers.astype(np.float64) - act.zero) * 2.0 ** -frac_of(act)
    return reals


class _Injected:
    """The exact network over fixed rows, and its output if one tensor were another."""

    def __init__(self, state: State, feeds: Mapping[str, Array]) -> None:
        import torch

        self.state = state
        self._torch = torch
        graph = state.graph
        tensors = graph.tensors.values()
        exact = {t.name: np.array(t.data, np.float32) for t in tensors if t.data is not None}
        exact.update(run_float(graph, feeds))
        self._exact = {name: torch.from_numpy(values) for name, values in exact.items()}
        self._rounded = {n: torch.from_numpy(v) for n, v in constants_of(state).items()}
        self.outputs = {name: exact[name] for name in output_names(graph)}

    def noise(self, name: str, values: Any) -> float:
        """Noise over signal at the output if ``name`` had ``values`` (torch)."""
        changed = {name: values}
        with self._torch.no_grad():
            for node in self.state.graph.nodes:
                if node.output != name and changed.keys() & set(node.inputs):
                    changed[node.output] = self._run(node, {**self._exact, **changed})
        found = {n: changed.get(n, self._exact[n]).numpy() for n in self.outputs}
        return relative_error(self.outputs, found)

    def by_cause(self, node: Node | None, name: str, clipped: float) -> dict[str, float]:
        """The noise of each cause at the tensor ``name``, which ``node`` writes."""
        act, exact = self.state.acts[name], self._exact[name]
        noise = dict.fromkeys(CAUSES, 0.0)
        if node is not None and node in weighted(self.state.graph):
            noise["weights"] = self.noise(name, self._with_rounded_weights(node))
        if node is None or not keeps_scale(node):
            scale = 2.0 ** frac_of(act)
            low, high = (bound - act.zero for bound in act.range)
            noise["rounding"] = self.noise(name, exact.mul(scale).add(0.5).floor() / scale)
            if clipped > 0:
                noise["clipping"] = self.noise(name, exact.clamp(low / scale, high / scale))
        return noise

    def _with_rounded_weights(self, node: Node) -> Any:
        """The output of a layer with its integer weights, on exact inputs.

        A corrected bias makes up for errors of the layers before, too; they are absent here, so
        only the layer's own shift of the mean is taken back.
        """
        _, w, b = node.inputs
        rounded = rounded_pad(node, self.state.acts)
        with self._torch.no_grad():
            if not is_corrected(self.state, node):
                values = {**self._exact, w: self._rounded[w], b: self._rounded[b]}
                return self._run(rounded, values)
            bare = rounded.with_attrs(clip=(-math.inf, math.inf))
            wanted = self._run(node.with_attrs(clip=bare.attrs["clip"]), self._exact)
            found = self._run(bare, {**self._exact, w: self._rounded[w]})
            axes = tuple(range(found.dim() - 1))
            return clamp(found + (wanted - found).mean(axes), node.attrs["clip"])

    def _run(self, node: Node, values: Mapping[str, Any]) -> Any:
        run = spec(node.op).run_float
        assert run is not None
        return run(node, [values[name] for name in node.inputs])


def is_corrected(state: State, node: Node) -> bool:
    """Whether the bias of ``node`` is not just the rounded bias of the float network."""
    bias = state.biases[node.inputs[2]]
    frac = np.array(state.weights[node.inputs[1]].frac) + frac_of(state.acts[node.inputs[0]])
    gap = np.abs(bias - state.graph.data(node.inputs[2]))
    return bool((gap > 1e-6 * np.abs(bias) + 2.0 ** -frac.astype(np.float64)).any())


def _layer(injected: _Injected, name: str, exact: Array, integers: Array) -> Layer:
    """The facts of the tensor ``name``, whose reals and integers are given."""
    graph, act = injected.state.graph, injected.state.acts[name]
    node = graph.producer(name)
    found = _real(integers, act)
    half_step = 2.0 ** -(frac_of(act) + 1)
    low, high = (_real(np.array(bound), act) for bound in act.range)
    clipped = float(np.mean((exact > high + half_step) | (exact < low - half_step)))
    lowest, highest = int(integers.min()), int(integers.max())
    return Layer(
        node.name if node else name,
        node.op if node else "input",
        name,
        frac_of(act),
        sqnr(exact, found),
        _cosine(exact, found),
        clipped,
        (highest - lowest + 1) / 256,
        injected.by_cause(node, name, clipped),
        lowest == highest == act.zero,
    )


def _cosine(a: Array, b: Array) -> float:
    """The cosine of the angle between two arrays: 1 for two of zeros, 0 for one.

    >>> _cosine(np.array([1.0, 0.0]), np.array([2.0, 0.0])), _cosine(np.zeros(2), np.ones(2))
    (1.0, 0.0)
    """
    x, y = a.astype(np.float64).reshape(-1), b.astype(np.float64).reshape(-1)
    lengths = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    if lengths == 0:
        return 1.0 if not (x.any() or y.any()) else 0.0
    return float(x @ y) / lengths


def _with_fixes(result: Explanation, state: State, quantization: Mapping[str, Any]) -> Explanation:
    before = output_error(state, state.feeds)
    fixes = []
    for layer in [layer for layer in result.worst()[:WORST] if layer.total > 0]:
        fixes.append(_best_frac(layer, state, before) or _other_fix(layer, quantization))
    return replace(result, fixes=tuple(fixes))


def _best_frac(layer: Layer, state: State, before: float) -> Fix | None:
    """Another frac of the layer's output, if the network would err less with it."""
    group = group_of(state.graph)[layer.tensor]
    if dictated(state.graph).keys() & set(group):
        return None
    found = [(before, layer.frac)]
    for frac in (layer.frac - 1, layer.frac + 1):
        change = {n: replace(state.acts[n], frac=frac) for n in group}
        allowed = limit_fracs(state.graph, {**state.acts, **change})
        if all(allowed[n].frac == frac for n in group):
            found.append((_error_with(state.with_acts(change)), frac))
    error, frac = min(found)
    gain = decibels(error) - decibels(before)
    if gain < WORTH_DB:
        return None
    clipped = f"{100 * layer.clipped:.2g} % clipped"
    text = (
        f"tensor '{layer.tensor}', {clipped}: frac {layer.frac} -> {frac} "
        "(quantize.fracs in the config)"
    )
    return Fix(layer.name, _cause(layer), text, "costs nothing", gain)


def _error_with(state: State) -> float:
    """Noise over signal at the output; biases that were corrected are corrected anew."""
    if any(is_corrected(state, node) for node in weighted(state.graph)):
        state = correct_biases(state)
    return output_error(state, state.feeds)


def _cause(layer: Layer) -> str:
    return max(CAUSES, key=lambda cause: layer.noise[cause])


def _other_fix(layer: Layer, quantization: Mapping[str, Any]) -> Fix:
    """What helps where no other frac does."""
    rows, effort = quantization.get("calibration_rows", 0), quantization.get("effort", "normal")
    cause = _cause(layer)
    if layer.op == "input" and cause == "clipping":
        text = "give calibration data with the input's whole range"
        return Fix(layer.name, cause, text, "costs nothing")
    if 0 < rows < FEW_ROWS:
        text = f"give {FEW_ROWS} or more calibration rows, it had {rows}"
        return Fix(layer.name, cause, text, "compile time only")
    if effort != "best":
        better = "normal" if effort == "fast" else "best"
        return Fix(layer.name, cause, f"compile with --effort {better}", "compile time only")
    return Fix(layer.name, cause, f"none: its {cause} is at the limit of 8 bits", "")


def _finite(value: Any) -> Any:
    """What JSON can hold: None for an infinite SQNR."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
