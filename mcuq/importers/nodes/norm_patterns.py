"""Recognises normalizations that were exported as means, differences, squares and roots.

Exporters write them in many ways: the root is divided by, or its reciprocal multiplied with, before
or after the scale; squares are products or powers; TensorFlow multiplies before it subtracts the
mean. What all of them say is x, the axes, what is added to the variance, a scale and a bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod, sqrt

import numpy as np

from mcuq.importers.standard.modern import Kind
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array

Axes = tuple[int, ...]
SMALL = 1e-6
"""Limits of a length below this only keep it from 0."""


@dataclass(frozen=True, eq=False)
class Norm:
    """``scale * (x - mean) / sqrt(variance + epsilon) + bias`` over ``axes``."""

    x: str
    axes: Axes
    epsilon: float
    centered: bool
    scale: Array
    bias: Array

    def step(self, step: OnnxStep) -> OnnxStep:
        """``step`` as one node."""
        attrs = {
            "axes": self.axes, "epsilon": self.epsilon, "centered": int(self.centered),
            "scale": self.scale, "bias": self.bias,
        }  # fmt: skip
        return replace(step, op="MeanVarianceNormalization", inputs=(self.x,), attrs=attrs)


@dataclass(frozen=True, eq=False)
class Power:
    """``factor * (mean of the squares of value + epsilon)``, or its root, or the root's inverse."""

    value: str
    axes: Axes
    factor: Array
    epsilon: float = 0.0


def fuse(
    steps: Sequence[OnnxStep], constants: Mapping[str, Array], kinds: Mapping[str, Kind]
) -> list[OnnxStep]:
    """``steps`` with every normalization, at its end, as one step."""
    found = _Found(steps, constants, kinds)
    return [found.norms[s.outputs[0]].step(s) if s.outputs[0] in found.norms else s for s in steps]


_OPERANDS = {"Add": 2, "Sub": 2, "Mul": 2, "Div": 2, "Pow": 2}


def _formed(step: OnnxStep) -> bool:
    """Whether ``step`` reads and writes as many values as it should."""
    count = len(step.inputs)
    whole = count > 0 and all(step.inputs) and len(step.outputs) == 1
    return whole and _OPERANDS.get(step.op, count) == count


class _Found:
    """What each value is, as far as normalizations are made of it."""

    def __init__(
        self, steps: Sequence[OnnxStep], constants: Mapping[str, Array], kinds: Mapping[str, Kind]
    ) -> None:
        self.constants, self.kinds = constants, kinds
        formed = [step for step in steps if _formed(step)]
        self.makers = {name: step for step in formed for name in step.outputs}
        self.norms: dict[str, Norm] = {}
        self.squares: dict[str, Power] = {}
        self.roots: dict[str, Power] = {}
        self.inverses: dict[str, Power] = {}
        for step in formed:
            self._read(step)

    def _read(self, step: OnnxStep) -> None:
        output = step.outputs[0]
        square = self._square(step)
        root = self._root(step)
        inverse = self._inverse(step)
        if square is not None:
            self.squares[output] = square
        elif root is not None:
            self.roots[output] = root
        elif inverse is not None:
            self.inverses[output] = inverse
        else:
            norm = self._norm(step) or self._extended(step) or self._late(step)
            if norm is not None:
                self.norms[output] = norm

    def name(self, name: str) -> str:
        """The value behind casts of ``name``."""
        while name in self.makers and self.makers[name].op in ("Cast", "Identity"):
            name = self.makers[name].inputs[0]
        return name

    def maker(self, name: str, *ops: str) -> OnnxStep | None:
        """The step that makes ``name``, if it is one of ``ops``."""
        step = self.makers.get(self.name(name))
        return step if step is not None and step.op in ops else None

    def number(self, name: str) -> float | None:
        """The constant ``name``, if it is one number."""
        data = self.constants.get(name)
        return float(data.reshape(())) if data is not None and data.size == 1 else None

    def split(self, step: OnnxStep) -> tuple[str, Array] | None:
        """(value, constant) of a step of two operands."""
        names = [n for n in step.inputs if n not in self.constants]
        given = [self.constants[n] for n in step.inputs if n in self.constants]
        return (names[0], given[0]) if len(names) == len(given) == 1 else None

    def reduced(self, step: OnnxStep) -> tuple[str, Axes] | None:
        """(value, axes) of a reduction that keeps its axes."""
        name = step.inputs[0]
        given = step.attrs.get("axes")
        if given is None and len(step.inputs) > 1:
            given = self.constants.get(step.inputs[1])
        if given is None or name not in self.kinds or not step.attrs.get("keepdims", 1):
            return None
        rank = len(self.kinds[name].shape)
        if any(not -rank <= int(a) < rank for a in np.reshape(given, -1)):
            return None
        return self.name(name), tuple(sorted(int(a) % rank for a in np.reshape(given, -1)))

    def count(self, name: str, axes: Axes) -> int:
        return prod(self.kinds[name].shape[a] for a in axes)

    def squared(self, name: str) -> str | None:
        """What ``name`` is the square of."""
        step = self.maker(name, "Mul", "Pow")
        if step is None:
            return None
        base, other = (self.name(n) for n in step.inputs)
        same = base == other if step.op == "Mul" else self.number(other) == 2.0
        return base if same else None

    def _square(self, step: OnnxStep) -> Power | None:
        """A mean of squares, more or less, and what is added to it or multiplied with it."""
        if step.op in ("ReduceMean", "ReduceSum", "ReduceSumSquare"):
            return self._summed(step)
        pair = self.split(step)
        known = self.squares.get(self.name(pair[0])) if pair else None
        if pair is None or known is None or pair[1].size != 1:
            return None
        number = float(pair[1].reshape(()))
        if step.op == "Add" and number >= 0:
            return replace(known, epsilon=known.epsilon + number / float(known.factor))
        if step.op == "Mul" and number > 0:
            return replace(known, factor=known.factor * number)
        if step.op == "Div" and number > 0 and step.inputs[1] in self.constants:
            return replace(known, factor=known.factor / number)
        return known if step.op == "Max" and number <= SMALL**2 else None

    def _summed(self, step: OnnxStep) -> Power | None:
        found = self.reduced(step)
        if found is None:
            return None
        name, axes = found
        base = name if step.op == "ReduceSumSquare" else self.squared(name)
        factor = 1.0 if step.op == "ReduceMean" else float(self.count(step.inputs[0], axes))
        return None if base is None else Power(base, axes, np.array(factor))

    def _root(self, step: OnnxStep) -> Power | None:
        """The root of it, limited from below or not."""
        if step.op == "ReduceL2":
            found = self.reduced(step)
            if found is None:
                return None
            return Power(*found, np.array(sqrt(self.count(step.inputs[0], found[1]))))
        name = self.name(step.inputs[0])
        power = self.squares.get(name)
        if power is not None and (step.op == "Sqrt" or self._raised(step, 0.5)):
            return replace(power, factor=np.sqrt(power.factor))
        root = self.roots.get(name)
        if root is None:
            return None
        least = self._least(step)
        return root if step.op == "Expand" or (least is not None and least <= SMALL) else None

    def _least(self, step: OnnxStep) -> float | None:
        """The lower limit that ``step`` sets, if it sets no other."""
        if step.op == "Max" and len(step.inputs) == 2:
            return self.number(step.inputs[1])
        if step.op == "Clip" and len(step.inputs) == 2:
            return self.number(step.inputs[1])
        return None

    def _raised(self, step: OnnxStep, power: float) -> bool:
        return step.op == "Pow" and self.number(step.inputs[1]) == power

    def _inverse(self, step: OnnxStep) -> Power | None:
        """The inverse of the root, times a scale or not."""
        name = self.name(step.inputs[-1] if step.op == "Div" else step.inputs[0])
        power, root = self.squares.get(name), self.roots.get(name)
        if power is not None and self._raised(step, -0.5):
            return replace(power, factor=1 / np.sqrt(power.factor))
        if root is not None and step.op == "Reciprocal":
            return replace(root, factor=1 / root.factor)
        if root is not None and step.op == "Div" and step.inputs[0] in self.constants:
            return replace(root, factor=self.constants[step.inputs[0]] / root.factor)
        pair = self.split(step) if step.op == "Mul" else None
        known = self.inverses.get(self.name(pair[0])) if pair else None
        return (
            None if pair is None or known is None else replace(known, factor=known.factor * pair[1])
        )

    def _norm(self, step: OnnxStep) -> Norm | None:
        """A value divided by its root, or times its inverse."""
        if step.op == "Div":
            value, power = step.inputs[0], self.roots.get(self.name(step.inputs[1]))
            scale = None if power is None else 1 / power.factor
        elif step.op == "Mul":
            names = sorted(step.inputs, key=lambda n: self.name(n) in self.inverses)
            value, power = names[0], self.inverses.get(self.name(names[1]))
            scale = None if power is None else power.factor
        else:
            return None
        if power is None or scale is None:
            return None
        return self._about(self.name(value), power, scale)

    def _about(self, value: str, power: Power, scale: Array) -> Norm | None:
        zero = np.array(0.0)
        x = self.centered(value, power.axes)
        if x is not None and self.centered(power.value, power.axes) == x:
            return Norm(x, power.axes, power.epsilon, True, scale, zero)
        if value == power.value:
            return Norm(value, power.axes, power.epsilon, False, scale, zero)
        return None

    def centered(self, name: str, axes: Axes) -> str | None:
        """What ``name`` is, less its mean over ``axes``."""
        step = self.maker(name, "Sub")
        if step is None:
            return None
        x = self.name(step.inputs[0])
        return x if self.mean_of(step.inputs[1], axes) == x else None

    def mean_of(self, name: str, axes: Axes) -> str | None:
        """What ``name`` is the mean of, over ``axes``."""
        step = self.maker(name, "ReduceMean")
        found = self.reduced(step) if step is not None else None
        return found[0] if found is not None and found[1] == axes else None

    def _extended(self, step: OnnxStep) -> Norm | None:
        """A normalization times a constant, or plus one."""
        pair = self.split(step) if step.op in ("Mul", "Add", "Div") else None
        norm = self.norms.get(self.name(pair[0])) if pair else None
        if pair is None or norm is None or not self._fits(norm, pair[1]):
            return None
        constant = pair[1].astype(np.float64)
        if step.op == "Add":
            return replace(norm, bias=norm.bias + constant)
        if step.op == "Div":
            if step.inputs[0] in self.constants or not bool(constant.all()):
                return None
            constant = 1 / constant
        return replace(norm, scale=norm.scale * constant, bias=norm.bias * constant)

    def _fits(self, norm: Norm, constant: Array) -> bool:
        shape = self.kinds[norm.x].shape
        last = shape[len(shape) - constant.ndim :] if constant.ndim <= len(shape) else ()
        pairs = zip(last, constant.shape, strict=False)
        return constant.ndim <= len(shape) and all(size in (1, s) for s, size in pairs)

    def _late(self, step: OnnxStep) -> Norm | None:
        """``x * f + (bias - mean * f)`` with f the inverse of the root times a scale."""
        if step.op != "Add":
            return None
        for one, other in (step.inputs, step.inputs[::-1]):
            product, rest = self.maker(one, "Mul"), self.maker(other, "Sub")
            if product is not None and rest is not None and rest.inputs[0] in self.constants:
                for name, x in (product.inputs, product.inputs[::-1]):
                    power = self.inverses.get(self.name(name))
                    if power is not None and self._moved(rest.inputs[1], name, x, power):
                        bias = self.constants[rest.inputs[0]]
                        return Norm(
                            self.name(x), power.axes, power.epsilon, True, power.factor, bias
                        )
        return None

    def _moved(self, name: str, inverse: str, x: str, power: Power) -> bool:
        """Whether ``name`` is the mean of ``x`` times ``inverse``."""
        step = self.maker(name, "Mul")
        wanted = self.name(inverse)
        if step is None or self.centered(power.value, power.axes) != self.name(x):
            return False
        return any(
            self.name(one) == wanted and self.mean_of(other, power.axes) == self.name(x)
            for one, other in (step.inputs, step.inputs[::-1])
        )
