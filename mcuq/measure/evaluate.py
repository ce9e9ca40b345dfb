"""How well the integer network follows the float one, on data it was not calibrated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from mcuq.data.feeds import load_evaluated, user_reals
from mcuq.draw.html import table
from mcuq.errors import DataError, brief
from mcuq.fixed import dequantize
from mcuq.ir import Array, Graph, Node, Port, fed, from_memory, shown
from mcuq.model.bundle import Bundle
from mcuq.model.report import JudgedOutput
from mcuq.ops import spec
from mcuq.ops.spec import Values
from mcuq.qir import QGraph, frac_of
from mcuq.quantize.structure import logits_of
from mcuq.reference import feeds_to_float, feeds_to_int, port_to_real, run_float, run_int
from mcuq.schema.records import plain
from mcuq.sequences import is_sequence, run_integer, run_real, settled, steps_of

LARGEST_CLASS = 1 << 31


@dataclass(frozen=True, eq=False, repr=False)
class Output:
    """One output: signal over noise in dB, mean squared and mean absolute error, against float.

    ``exact`` and ``found``: (values, columns) of what is compared, float64; None for an argmax's
    indices, and where they were not kept.
    """

    name: str
    sqnr_db: float
    mse: float
    mae: float
    exact: Array | None = None
    found: Array | None = None

    def __repr__(self) -> str:
        return brief("Output", self.name, f"SQNR {self.sqnr_db:.1f} dB")

    @property
    def facts(self) -> JudgedOutput:
        """Four digits each: what the float network's last bits are differs between processors."""
        mse, mae = (float(f"{value:.4g}") for value in (self.mse, self.mae))
        return JudgedOutput(self.name, rounded(self.sqnr_db), mse, mae)


def rounded(decibels: float) -> float | None:
    """Two digits; None for infinitely many decibels, or for no signal at all."""
    return round(decibels, 2) if np.isfinite(decibels) else None


@dataclass(frozen=True)
class Against:
    """How far the first output of both networks is from targets: mean squared, mean absolute."""

    float_mse: float
    float_mae: float
    int8_mse: float
    int8_mae: float


@dataclass(frozen=True)
class Anomaly:
    """The area under the ROC curve of both networks' scores against labels 0 and 1."""

    float_auc: float
    int8_auc: float


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Shares are 0..1; None where they make no sense (no labels, or an output without classes).

    ``compressed_top1``: of the float network after compression, ``float_top1`` before it.
    ``agreement``: rows for which both networks name the same class. ``sqnr_db``: signal power over
    noise power of the outputs, or of what a final softmax or argmax reads; the worst output counts.
    ``targets``: errors against reals that the output should be. ``anomaly``: how well the distance
    of the output from its target, or from the input, tells 1 from 0.
    """

    samples: int
    float_top1: float | None
    int8_top1: float | None
    agreement: float | None
    sqnr_db: float
    outputs: tuple[Output, ...] = ()
    targets: Against | None = None
    anomaly: Anomaly | None = None
    compressed_top1: float | None = None

    def __repr__(self) -> str:
        known = [] if self.int8_top1 is None else [f"accuracy {self.int8_top1:.2%}"]
        return brief("Evaluation", f"{self.samples} rows", f"SQNR {self.sqnr_db:.1f} dB", *known)

    def _repr_html_(self) -> str:
        return table(("", "#"), self.named)

    @property
    def named(self) -> list[tuple[str, str]]:
        """What was found, as people read it, behind its name."""
        shares = (
            ("float accuracy", self.float_top1),
            ("of the smaller float network", self.compressed_top1),
            ("integer accuracy", self.int8_top1),
            ("the same class", self.agreement),
        )
        rows: list[tuple[str, str]] = [("rows", f"{self.samples:,}")]
        rows += [(name, f"{share:.2%}") for name, share in shares if share is not None]
        rows += [(f"SQNR of {output.name}", f"{output.sqnr_db:.2f} dB") for output in self.outputs]
        return rows

    def to_json(self) -> dict[str, object]:
        """Everything but the arrays."""
        facts = asdict(replace(self, outputs=()))
        return {**facts, "outputs": [plain(output.facts) for output in self.outputs]}


def evaluate(
    graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array], labels: Array | None = None
) -> Evaluation:
    """Compare on ``feeds`` (as ``data.load`` returns them); the first output is the classifier."""
    ports, own = _judged(graph, feeds), _judged(qgraph, feeds)
    pairs = [
        (logits_of(graph, a.tensor), logits_of(qgraph, b.tensor))
        for a, b in zip(ports, own, strict=True)
    ]
    first, first_int = ports[0], own[0]
    reals, integers = _both(
        graph,
        qgraph,
        feeds,
        {first.tensor, *(a for a, _ in pairs)},
        {first_int.tensor, *(b for _, b in pairs)},
    )
    if is_sequence(graph, feeds):
        reals, integers = (_counted(v, graph, feeds, labels) for v in (reals, integers))
        labels = None if labels is None else _counted({"": labels}, graph, feeds, labels)[""]
    rows = len(reals[first.tensor])
    expected = classes(graph, first.tensor, reals[first.tensor])
    output = port_to_real(first_int, integers[first_int.tensor])
    found = classes(graph, first.tensor, output)
    if labels is not None:
        _check_labels(graph, labels, reals[first.tensor], expected)
    outputs = tuple(
        _output(port.name, reals[a], _real(qgraph, b, integers[b]))
        for port, (a, b) in zip(ports, pairs, strict=True)
    )
    return Evaluation(
        rows,
        _share(expected, labels),
        _share(found, labels),
        _share(expected, found),
        min(output.sqnr_db for output in outputs),
        outputs,
    )


def _judged(network: Graph | QGraph, feeds: Mapping[str, Array]) -> tuple[Port, ...]:
    """The outputs that are compared: of sequences those that the caller gets."""
    return shown(network) if is_sequence(network, feeds) else network.outputs


def _both(
    graph: Graph,
    qgraph: QGraph,
    feeds: Mapping[str, Array],
    reals: set[str],
    integers: set[str],
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The wanted values of both networks; of sequences each goes on from its own states."""
    if is_sequence(graph, feeds):
        return run_real(graph, feeds, reals), run_integer(qgraph, feeds, integers)
    return (
        run_float(graph, feeds_to_float(graph, feeds), reals),
        run_int(qgraph, feeds_to_int(qgraph, feeds), integers),
    )


def _counted(
    values: Mapping[str, Array], graph: Graph, feeds: Mapping[str, Array], labels: Array | None
) -> dict[str, Array]:
    """Of each sequence all steps after the warm-up, or the last if there is one label for it."""
    steps, count = steps_of(graph, feeds), -1 if labels is None else len(labels)
    sequences = len(feeds[fed(graph)[0].name])
    if count == sequences and steps > 1:
        return {n: v if len(v) == count else v[steps - 1 :: steps] for n, v in values.items()}
    return {n: settled(graph, v, feeds) for n, v in values.items()}


@dataclass(frozen=True, eq=False)
class Evaluated:
    """``result`` on the rows ``feeds``, and their classes if the file has any."""

    result: Evaluation
    feeds: Mapping[str, Array]
    labels: Array | None


def evaluate_file(made: Bundle, ref: str | Path, anomalies: bool = False) -> Evaluated:
    """Evaluate on a file; ``y`` in it: classes, targets, or with ``anomalies`` 0 and 1."""
    feeds, given = load_evaluated(ref, made.graph)
    result = evaluate_model(made, feeds, given, anomalies)
    if given is None or result.float_top1 is None:
        return Evaluated(result, feeds, None)
    return Evaluated(result, feeds, given.astype(np.int64))


def evaluate_model(
    made: Bundle, feeds: Mapping[str, Array], given: Array | None, anomalies: bool = False
) -> Evaluation:
    """As ``evaluate_given``, against the network as it was before compression, if it was."""
    whole = made.whole or made.graph
    result = evaluate_given(whole, made.qgraph, feeds, given, anomalies)
    if made.whole is None or given is None or result.float_top1 is None:
        return result
    return replace(result, compressed_top1=_float_top1(made.graph, feeds, given.astype(np.int64)))


def evaluate_given(
    graph: Graph,
    qgraph: QGraph,
    feeds: Mapping[str, Array],
    given: Array | None,
    anomalies: bool = False,
) -> Evaluation:
    """As ``evaluate``; ``given``: whole numbers, one per row, are classes, all else targets.

    With ``anomalies`` they are 0 and 1, and scores are judged by them.
    """
    if anomalies:
        if given is None:
            raise DataError("--anomaly", "there is no y", "Add an array y of 0 and 1")
        scores = anomaly(graph, qgraph, feeds, given.reshape(-1))
        return replace(evaluate(graph, qgraph, feeds), anomaly=scores)
    if given is None:
        return evaluate(graph, qgraph, feeds)
    if are_classes(given, graph):
        return evaluate(graph, qgraph, feeds, given.astype(np.int64))
    targets = regression(graph, qgraph, feeds, given)
    return replace(evaluate(graph, qgraph, feeds), targets=targets)


def are_classes(given: Array, graph: Graph) -> bool:
    """Whether ``given`` numbers classes: whole numbers, one per row, and an output that has any."""
    if given.ndim != 1 or not bool((given == np.floor(given)).all()):
        return False
    if not bool((np.abs(given.astype(np.float64)) < LARGEST_CLASS).all()):  # infinite, maybe
        return False
    port = graph.outputs[0]
    if port.kind == "s32" or prod(port.shape) > 1:
        return True
    node = maker_of(graph, port.tensor)
    return node is not None and node.op == "sigmoid"


def _output(name: str, exact: Array, found: Array) -> Output:
    wanted = exact.astype(np.float64)
    error = wanted - found
    columns = wanted.shape[-1] if wanted.ndim > 1 else 1
    return Output(
        name,
        sqnr(exact, found),
        float(np.mean(error**2)),
        float(np.mean(np.abs(error))),
        wanted.reshape(-1, columns),
        np.asarray(found, np.float64).reshape(-1, columns),
    )


def regression(graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array], targets: Array) -> Against:
    """Errors of the first output against ``targets``, (N, ...) in the user's own order."""
    exact, found = _first_output(graph, qgraph, feeds)
    if is_sequence(graph, feeds) and len(targets) == len(exact):
        exact, found, targets = (settled(graph, v, feeds) for v in (exact, found, targets))
    if targets.shape[0] != len(exact) or targets.size != exact.size:
        reason = f"targets of shape {targets.shape} for outputs of shape {exact.shape}"
        raise DataError("y", reason, "Give one target for each output value")
    wanted = targets.reshape(exact.shape).astype(np.float64)
    most = float(np.finfo(np.float32).max)
    if float(np.abs(wanted).max(initial=0.0)) > most:
        raise DataError("y", f"targets beyond {most:.0e}", "Give what the network is to compute")
    errors = (exact - wanted, found - wanted)
    measures = [f(np.abs(e)) for e in errors for f in (lambda a: float(np.mean(a**2)), _mean)]
    return Against(*measures)


def anomaly(graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array], labels: Array) -> Anomaly:
    """How well reconstruction errors (or a single output) tell rows of label 1 from those of 0."""
    exact, found = _first_output(graph, qgraph, feeds)
    rows = len(exact)
    if labels.shape != (rows,) or set(np.unique(labels).tolist()) != {0, 1}:
        reason = "anomaly scores need one label 0 or 1 for each row, and both of them"
        raise DataError("labels", reason, "Give 0 for normal rows and 1 for anomalies")
    port = graph.inputs[0]
    inputs = user_reals(port, feeds[port.name]).reshape(rows, -1)
    scores = []
    for output in (exact.reshape(rows, -1), found.reshape(rows, -1)):
        if output.shape[1] == 1:
            scores.append(output[:, 0])
        elif output.shape == inputs.shape:
            scores.append(np.mean((output - inputs) ** 2, axis=1))
        else:
            reason = f"{output.shape[1]} outputs are no copy of {inputs.shape[1]} inputs"
            raise DataError("--anomaly", reason, "Use an autoencoder, or a network of one score")
    return Anomaly(*(auc(score, labels) for score in scores))


def auc(scores: Array, labels: Array) -> float:
    """The share of pairs of a 1 and a 0 in which the 1 has the higher score; ties count half.

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    ordered, place = np.unique(scores, return_inverse=True)
    counts = np.bincount(place, minlength=len(ordered))
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    ones = labels == 1
    positive, negative = int(ones.sum()), int((~ones).sum())
    return float((ranks[ones].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _mean(values: Array) -> float:
    return float(np.mean(values))


def _first_output(graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array]) -> tuple[Array, Array]:
    """The first output of both networks as reals in the user's own order, float64."""
    port, own = _judged(graph, feeds)[0], _judged(qgraph, feeds)[0]
    reals, integers = _both(graph, qgraph, feeds, {port.tensor}, {own.tensor})
    exact = from_memory(port, reals[port.tensor].astype(np.float64))
    return exact, from_memory(own, port_to_real(own, integers[own.tensor]))


def _float_top1(graph: Graph, feeds: Mapping[str, Array], labels: Array) -> float | None:
    """The share of rows whose class the first output of a float network names."""
    name = graph.outputs[0].tensor
    output = run_float(graph, feeds_to_float(graph, feeds), {name})[name]
    return _share(classes(graph, name, output), labels)


def sqnr(exact: Array, found: Array) -> float:
    """Signal power over noise power in dB; infinite if equal.

    >>> round(sqnr(np.array([10.0, 10.0]), np.array([9.0, 11.0])), 3)
    20.0
    """
    signal = float(np.sum(np.square(exact, dtype=np.float64)))
    noise = float(np.sum(np.square(exact.astype(np.float64) - found)))
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal > 0 else float("-inf")


def classes(graph: Graph, name: str, output: Array) -> Array | None:
    """(N,) class numbers: the index of an argmax, the first maximum, or above 0.5 for one sigmoid.

    None where the output is not one vector of classes per row.
    """
    node = maker_of(graph, name)
    rows = output.reshape(len(output), -1)
    if node is not None and spec(node.op).gives_indices and rows.shape[1] == 1:
        return rows[:, 0].astype(np.int64)
    if rows.shape[1] == 1 and node is not None and node.op == "sigmoid":
        return (rows[:, 0] > 0.5).astype(np.int64)
    if len(graph.shape(name)) == 2 and rows.shape[1] > 1:
        return np.asarray(rows.argmax(axis=1))
    return None


def maker_of(graph: Graph, name: str) -> Node | None:
    """The node that computes the values of ``name``, which others may have moved since."""
    node = graph.producer(name)
    while node is not None and spec(node.op).values >= Values.SAME:
        node = graph.producer(node.inputs[0])
    return node


def _real(qgraph: QGraph, name: str, integers: Array) -> Array:
    port = next((port for port in qgraph.outputs if port.tensor == name), None)
    if port is not None:
        return port_to_real(port, integers)
    tensor = qgraph.tensor(name)
    return dequantize(integers, frac_of(tensor), tensor.zero) * _softmax_scale(qgraph, name)


def _softmax_scale(qgraph: QGraph, name: str) -> float:
    """How many times the integers of ``name`` a softmax behind it means."""
    for node in qgraph.consumers(name):
        if spec(node.op).classifies and "scale" in node.attrs:
            return node.float("scale")
        if spec(node.op).values >= Values.SAME:
            return _softmax_scale(qgraph, node.output)
    return 1.0


def _share(a: Array | None, b: Array | None) -> float | None:
    return None if a is None or b is None else float(np.mean(a == b))


def _check_labels(graph: Graph, labels: Array, output: Array, expected: Array | None) -> None:
    if len(labels) != len(output):
        raise DataError("labels", f"{len(labels)} labels for {len(output)} rows")
    if expected is None:
        reason = f"output '{graph.outputs[0].name}' of shape {output.shape} is not a class per row"
        raise DataError("labels", reason, "Evaluate without labels")
    count = output.reshape(len(output), -1).shape[1]
    if int(labels.min(initial=0)) < 0:
        raise DataError("labels", "are not class numbers", "Give integers from 0 up")
    if count > 1 and int(labels.max(initial=0)) >= count:
        reason = f"class {int(labels.max())} where the network has {count} classes"
        raise DataError("labels", reason, "Number the classes from 0 as the network does")
