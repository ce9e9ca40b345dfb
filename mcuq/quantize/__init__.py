"""Graph -> QGraph: choose the power-of-two numbers of every tensor.

``STEPS`` is the ordered list; each step takes a ``State`` and returns one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from mcuq.data.feeds import check_calibration
from mcuq.data.rows import thinned
from mcuq.errors import DataError, McuqError
from mcuq.ir import Array, Graph
from mcuq.ops import validate
from mcuq.qir import QGraph
from mcuq.quantize import choice, mixed, wide
from mcuq.quantize.assemble import assemble
from mcuq.quantize.equalize.as_given import keep_steps
from mcuq.quantize.given import Given, complete, outcome
from mcuq.quantize.grids import keep_grids
from mcuq.quantize.ranges import from_hints, joins, parts, scales
from mcuq.quantize.ranges.inputs import given_inputs, settle_offsets
from mcuq.quantize.settings import EFFORTS, RANGES
from mcuq.quantize.state import OPTIONAL, Mixed, Options, Progress, Stage, State, StepNote
from mcuq.quantize.structure import activations
from mcuq.reference import feeds_to_float

__all__ = [
    "STEPS",
    "Given",
    "Options",
    "Progress",
    "Quantized",
    "StepNote",
    "needs_calibration",
    "quantize",
    "quantize_report",
]

STEPS: tuple[tuple[str, Stage], ...] = (
    ("observe", scales.observe),
    ("parts of outputs", parts.own_scales),
    ("concats", joins.split_concats),
    ("scales", scales.choose_scales),
    ("weights", scales.choose_weights),
    ("affine input", choice.choose_affine_inputs),
    ("equalization", choice.choose_equalization),
    ("range search", choice.choose_ranges),
    ("mixed precision", mixed.choose_mixed),
    ("rounding", choice.choose_rounding),
)


_NO_DATA = (
    "without calibration data the scales follow from the ranges that the model states, and nothing "
    "was tried out: --calib DATA.npz gives better ones, --grids kept the model's own integers, at "
    "two to three times the instructions"
)
_UNUSED = "the grids of the quantized model are kept: the calibration data changes nothing"
_ONE_OF_BOTH = "Leave out one of both"


@dataclass(frozen=True)
class Quantized:
    """The integer network, one-line warnings for the user, and what each guarded step did.

    ``rounded``: the float network that was rounded: the same function, its channels maybe rescaled.
    ``given``: what became of the numbers of an already quantized model. ``mixed``: which tensors
    got 16 bits, and the price, if mixed precision was asked for.
    """

    qgraph: QGraph
    warnings: tuple[str, ...]
    notes: tuple[StepNote, ...]
    rounded: Graph
    given: tuple[Given, ...] = ()
    mixed: Mixed | None = None


def quantize(
    graph: Graph, calibration: Mapping[str, Array], options: Options | None = None
) -> QGraph:
    """The integer network of ``graph``; see ``quantize_report``."""
    return quantize_report(graph, calibration, options).qgraph


def quantize_report(
    graph: Graph, calibration: Mapping[str, Array], options: Options | None = None
) -> Quantized:
    """Quantize ``graph``, which must be ready (``passes.run``), with typical inputs.

    ``calibration``: (N, ...) per input port in internal order, as ``data.load`` returns it: reals,
    or uint8 bytes at a u8 port. It may be empty if ``needs_calibration`` says so. Deterministic for
    the same arguments on the same machine.
    """
    options = options or Options()
    if options.grids == "kept":
        return _finished(graph, _on_grids(graph, calibration, options))
    if not calibration and not needs_calibration(graph):
        return _finished(graph, _as_given(graph, options))
    _check(graph, calibration, options)
    state = State(
        graph,
        feeds_to_float(graph, thinned(calibration, options.rows)),
        options,
        warnings=check_calibration(calibration, graph),
    )
    with _one_thread():
        steps = [(name, step) for name, step in STEPS if name not in options.skip]
        for index, (name, step) in enumerate(steps):
            report = _share_of(options.report, index, len(steps))
            report(name, 0.0)
            state = step(state.with_(options=replace(state.options, report=report)))
    options.report("integers", 1.0)
    return _finished(graph, state)


def needs_calibration(graph: Graph) -> bool:
    """Whether typical inputs are needed: not if a quantized model gives all numbers, or ranges."""
    dictated = scales.dictated(graph)
    return not complete(graph, dictated) and from_hints.ranges(graph, dictated) is None


def _as_given(graph: Graph, options: Options) -> State:
    """A state with all numbers as the quantized model gives them, or fitted to its ranges."""
    dictated = scales.dictated(graph)
    if complete(graph, dictated):
        found = dict.fromkeys(activations(graph), (0.0, 0.0))
        warnings: tuple[str, ...] = ()
    else:
        found = from_hints.ranges(graph, dictated) or {}
        warnings = (_NO_DATA,)
    state = State(graph, {}, options, ranges=found, warnings=warnings)
    fitted = (given_inputs, keep_steps) if warnings else ()
    for step in (joins.split_concats, *fitted, scales.choose_scales, scales.choose_weights):
        state = step(state)
    return settle_offsets(state) if warnings else state


def _on_grids(graph: Graph, calibration: Mapping[str, Array], options: Options) -> State:
    """A state in which all integers are the quantized model's own."""
    for thing, given in (
        ("bits", options.bits),
        ("fracs", options.fracs),
        ("mixed", options.mixed),
    ):
        if given:
            raise McuqError(
                thing, "goes with fitted numbers, not with grids = 'kept'", _ONE_OF_BOTH
            )
    grids = keep_grids(graph)
    scaled = {name: 1 / unit for name, unit in grids.units.items()}
    made = _as_given(grids.graph, options)
    outer = {port.tensor: scaled.get(port.tensor, 1.0) for port in graph.outputs}
    warnings = (_UNUSED,) if calibration else ()
    return made.with_(factors=outer, scaled=scaled, gains=grids.gains, warnings=warnings)


def _finished(graph: Graph, state: State) -> Quantized:
    found = outcome(graph, state.graph, state.acts, state.weights, state.scaled, state.gains)
    made = assemble(state)
    validate.check(made)
    return Quantized(made, state.warnings, state.notes, state.graph, found, state.mixed)


def _share_of(report: Progress, index: int, count: int) -> Progress:
    """Progress within step ``index`` of ``count``, told as progress of the whole; it never falls.

    A step may try the same thing several times, and tells 0..1 each time.
    """
    reached = index / count

    def within(text: str, fraction: float) -> None:
        nonlocal reached
        reached = max(reached, (index + min(fraction, 1.0)) / count)
        report(text, reached)

    return within


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: sums then have one order, and so the same result on any machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(graph: Graph, calibration: Mapping[str, Array], options: Options) -> None:
    if not calibration:
        raise DataError(
            graph.name,
            "quantizing needs typical inputs to see the ranges of activations",
            "Pass --calibration FILE.npz with 100 or more of them",
        )
    if options.effort not in EFFORTS:
        raise McuqError("effort", f"'{options.effort}' is not one of {', '.join(EFFORTS)}")
    _check_ranges(graph, options.ranges)
    for name in options.skip:
        if name not in OPTIONAL:
            raise McuqError("skip", f"'{name}' is not one of {', '.join(OPTIONAL)}")
    wide.check(graph, options.bits)
    for name in options.fracs:
        if name not in graph.tensors or graph.is_constant(name):
            raise McuqError(graph.name, f"no activation '{name}' to set a frac for")


def _check_ranges(graph: Graph, ranges: str | Mapping[str, str]) -> None:
    by_name = {"*": ranges} if isinstance(ranges, str) else ranges
    for name, method in by_name.items():
        if method not in RANGES:
            raise McuqError("ranges", f"'{method}' is not one of {', '.join(RANGES)}")
        if name != "*" and (name not in graph.tensors or graph.is_constant(name)):
            raise McuqError(graph.name, f"no activation '{name}' to find a range for")
