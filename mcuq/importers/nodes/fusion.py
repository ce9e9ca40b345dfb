"""Recognises activation functions that were exported as several elementwise nodes.

A chain of elementwise nodes between one value and one result is a function of one number. It is
evaluated on a grid and compared with the functions mcuq has, so the order in which an exporter
writes ``x * 0.5 * (1 + erf(x / sqrt(2)))`` does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array

MAX_STEPS = 12
_FAR = np.array((11.0, 15.0, 19.0, 21.0, 31.0, 60.0, 80.0))
GRID = np.concatenate((np.linspace(-9.0, 9.0, 181), -_FAR, _FAR))
TOLERANCE = 1e-4
Function = Callable[..., Array]

_ERF = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, x))


TARGETS: tuple[tuple[str, Mapping[str, str | float], Function], ...] = (
    ("Gelu", {"approximate": "none"}, lambda x: 0.5 * x * (1 + _ERF(x / math.sqrt(2)))),
    ("Gelu", {"approximate": "tanh"}, _gelu_tanh),
    ("Swish", {}, lambda x: x * _sigmoid(x)),
    ("HardSwish", {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    ("Sigmoid", {}, _sigmoid),
    ("Softplus", {}, _softplus),
    ("Softsign", {}, lambda x: x / (1 + np.abs(x))),
    ("Mish", {}, lambda x: x * np.tanh(_softplus(x))),
)
STEPS: dict[str, Function] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": np.power,
    "Erf": _ERF, "Tanh": np.tanh, "Sigmoid": _sigmoid, "Exp": np.exp, "Neg": np.negative,
    "Reciprocal": np.reciprocal, "Identity": lambda x: x, "Cast": lambda x: x,
    "Relu": lambda x: np.maximum(x, 0.0), "Softplus": _softplus, "Log": np.log, "Abs": np.abs,
    "Less": np.less, "Greater": np.greater, "Where": np.where,
}  # fmt: skip
_LAST = frozenset(("Mul", "Div", "Reciprocal", "Log", "Where"))


def fuse(steps: Sequence[OnnxStep], constants: Mapping[str, Array]) -> list[OnnxStep]:
    """``steps`` with every recognised chain replaced, at its end, by one step."""
    makers = {name: step for step in steps for name in step.outputs}
    return [_fused(step, makers, constants) for step in steps]


def _fused(
    step: OnnxStep, makers: Mapping[str, OnnxStep], constants: Mapping[str, Array]
) -> OnnxStep:
    if step.op not in _LAST:
        return step
    for source in _sources(step, makers, constants):
        with np.errstate(all="ignore"):
            values = _evaluate(step.outputs[0], source, makers, constants, [MAX_STEPS])
        if values is None:
            continue
        for op, attrs, function in TARGETS:
            with np.errstate(all="ignore"):
                near = np.abs(values - function(GRID)) <= TOLERANCE
            if bool(near.all()):
                return replace(step, op=op, inputs=(source,), attrs=attrs)
    return step


def _sources(
    step: OnnxStep, makers: Mapping[str, OnnxStep], constants: Mapping[str, Array]
) -> Iterator[str]:
    """The values the step may be a function of, nearest first."""
    seen: set[str] = set()
    wave = [step]
    for _ in range(MAX_STEPS):
        names = [n for s in wave for n in s.inputs if n and n not in constants and n not in seen]
        fresh = list(dict.fromkeys(names))
        seen.update(fresh)
        yield from fresh
        wave = [makers[n] for n in fresh if n in makers and _plain(makers[n])]
        if not wave or len(seen) > MAX_STEPS:
            return


def _plain(step: OnnxStep) -> bool:
    return step.op in STEPS or step.op in ("Clip", "HardSigmoid")


def _evaluate(
    name: str,
    source: str,
    makers: Mapping[str, OnnxStep],
    constants: Mapping[str, Array],
    budget: list[int],
) -> Array | None:
    """The value ``name`` on the grid of ``source``; None if it needs anything else."""
    if name == source:
        return GRID
    if name in constants:
        data = constants[name]
        return data.astype(np.float64).reshape(()) if data.size == 1 else None
    budget[0] -= 1
    step = makers.get(name)
    if step is None or budget[0] < 0 or not _plain(step):
        return None
    inputs = [_evaluate(n, source, makers, constants, budget) for n in step.inputs if n]
    known = [i for i in inputs if i is not None]
    try:
        return _apply(step, known) if len(known) == len(inputs) else None
    except (TypeError, ValueError):  # a wrong number of inputs, which the importer will report
        return None


def _apply(step: OnnxStep, inputs: Sequence[Array]) -> Array | None:
    if step.op == "HardSigmoid":
        alpha, beta = step.attrs.get("alpha", 0.2), step.attrs.get("beta", 0.5)
        return np.asarray(np.clip(alpha * inputs[0] + beta, 0.0, 1.0))
    if step.op == "Clip":
        if len(inputs) == 3:
            return np.asarray(np.clip(inputs[0], inputs[1], inputs[2]))
        limits = step.attrs.get("min", -math.inf), step.attrs.get("max", math.inf)
        return np.asarray(np.clip(inputs[0], *limits)) if len(inputs) == 1 else None
    return np.asarray(STEPS[step.op](*inputs))
