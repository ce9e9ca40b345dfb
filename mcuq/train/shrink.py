"""Channels that go for good: the module gets smaller, with everything that reads them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mcuq.compress.groups import Structure
from mcuq.compress.removal import remove
from mcuq.compress.structured import chosen_channels
from mcuq.errors import ModelError
from mcuq.importers.torch_program import Template, short
from mcuq.ir import Array, Graph, from_memory
from mcuq.passes import pipeline
from mcuq.quantize.structure import weighted
from mcuq.reference import run_float
from mcuq.train import matching
from mcuq.train.prepare import prepare
from mcuq.train.prepared import Prepared
from mcuq.train.program import BATCH_NORM, PLACE
from mcuq.train.source import Source, calls_of, target_of

Kept = dict[str, tuple[Array, ...]]
"""The indices that stay of a parameter or buffer, along each of its axes."""

Choose = Callable[..., tuple[Structure, frozenset[int]]]

CLOSE = 1e-3
"""Of the largest output: float sums in another order."""


def shrink(
    module: nn.Module,
    example: Tensor | Sequence[Tensor],
    amount: float,
    *,
    only: str | Sequence[str] | None = None,
    importance: str | None = None,
    measure: str = "macs",
    multiple: int = 4,
    of: nn.Module | None = None,
    seed: int = 0,
) -> nn.Module:
    """A copy of ``module`` with at least ``amount`` (0..1) less of it: whole channels are gone.

    ``example``: typical inputs, a batch each; eight or more say which channels matter. ``measure``:
    of what ``amount`` is a share: macs, weights, or channels; of the layers that ``only`` names, if
    it does; of the module ``of``, if that is the one from before channels went. ``importance``:
    taylor, or magnitude without so many inputs. A layer keeps a multiple of ``multiple``.

    It is a module of the same class with the same names, smaller parameters and buffers, and
    ``in_channels`` and the like to match; what it computes is what ``module`` would with the
    weights for these channels 0. Give an optimizer its parameters anew. Of a prepared module
    shared values, ranges and the number of steps stay, and zeros are chosen anew. Raises
    ``McuqError`` for what cannot be traced, and where forward counts channels itself.
    """
    choose = functools.partial(
        chosen_channels, amount=amount, only=only, measure=measure, multiple=multiple, seed=seed,
        recurrent=False,
    )  # fmt: skip
    own = module.plain() if isinstance(module, Prepared) else module
    shrinking = _Shrinking(Source.of(own, example), choose, importance, of)
    small = shrinking.made(own)
    return _as_before(module, small, example, shrinking) if isinstance(module, Prepared) else small


class _Shrinking:
    """Which channels go, and what that leaves of each parameter."""

    def __init__(
        self, source: Source, choose: Choose, importance: str | None, of: nn.Module | None
    ) -> None:
        self.source = source
        self.found, self.removed = choose(
            source.ready,
            importance=importance or ("taylor" if source.enough else "magnitude"),
            calibration=source.feeds if source.enough else None,
            of=None if of is None else _before(of, source),
        )
        self.graph = remove(source.ready, self.found, self.removed)
        self.kept = self._kept()

    def made(self, module: nn.Module) -> nn.Module:
        small = copy.deepcopy(module)
        for name, places in self.kept.items():
            _cut(small, name, places)
        self._compare(small)
        return small

    def _kept(self) -> Kept:
        """What stays of all that gets smaller."""
        source = self.source
        places = {held.constant: (held.parameter, held.places) for held in source.held}
        self._refuse_unheld(places)
        norms = [
            [target_of(argument) for argument in call.args[1:5]]
            for call in calls_of(source.program.graph, BATCH_NORM)
        ]
        means = [str(names[2]) for names in norms]
        kept = self._matrices(places) | self._vectors(means)
        for names in norms:
            if str(names[2]) in kept:
                kept |= {name: kept[str(names[2])] for name in names if name is not None}
        return kept

    def _vectors(self, means: Sequence[str]) -> Kept:
        source = self.source
        outputs = {node.output for node in source.ready.nodes}
        kept: Kept = {}
        for graph, numbers in matching.numbered(
            source.template, source.state, source.neutral, means
        ):
            if {node.output for node in graph.nodes} == outputs:
                small = remove(graph, self.found, self.removed)
                left = matching.vectors_in(small, numbers)
                kept |= {n: (v,) for n, v in left.items() if v.size < numbers[n][1]}
        return kept

    def _matrices(self, places: Mapping[str, tuple[str, Array]]) -> Kept:
        """What stays of the parameters whose elements lie at ``places``, by constant."""
        graph = self.source.ready
        small = remove(_numbered(graph, places), self.found, self.removed)
        kept: dict[str, tuple[Array, ...]] = {}
        for constant, (name, before) in places.items():
            left = small.data(constant)
            if left.size == before.size:
                continue
            shape = self.source.state[name].shape
            axes = tuple(np.unique(index) for index in np.unravel_index(left.reshape(-1), shape))
            same = name not in kept or all(map(np.array_equal, kept[name], axes))
            if prod(map(len, axes)) != left.size or not same:
                reason = f"what goes of '{name}' is not whole channels of it"
                raise ModelError(graph.name, reason, "Name other layers with only=")
            kept[name] = axes
        return kept

    def _refuse_unheld(self, known: Mapping[str, Any]) -> None:
        whole = self.source.ready
        for node in weighted(whole):
            name = node.inputs[1]
            if name not in known and self.graph.shape(name) != whole.shape(name):
                reason = f"layer '{node.name}' has weights that are not one parameter of the module"
                raise ModelError(whole.name, reason, "Name layers away from it with only=")

    def _compare(self, small: nn.Module) -> None:
        """Refuse a module that does not compute what the smaller graph does."""
        source = self.source
        wanted = run_float(self.graph, source.feeds)
        remedy = "Let forward ask for shapes, such as x.flatten(1), and name no number of channels"
        place = copy.deepcopy(small).cpu().eval()
        try:
            with torch.no_grad():
                found = torch.utils._pytree.tree_leaves(place(*source.rows))
        except Exception as error:  # its forward raises what it likes
            reason = f"does not run with fewer channels ({short(error)})"
            raise ModelError(source.ready.name, reason, remedy) from error
        for port, output in zip(self.graph.outputs, found, strict=True):
            values = from_memory(port, wanted[port.tensor])
            room = CLOSE * max(1e-30, float(np.abs(values).max(initial=0.0)))
            if values.shape != output.shape or np.abs(values - output.numpy()).max() > room:
                reason = "does not compute the same with fewer channels"
                raise ModelError(source.ready.name, reason, remedy)


def _before(of: nn.Module, source: Source) -> Graph:
    plain = of.plain() if isinstance(of, Prepared) else of
    return pipeline.run(Template.of(copy.deepcopy(plain).cpu(), source.rows).first.graph)


def _numbered(graph: Graph, places: Mapping[str, tuple[str, Array]]) -> Graph:
    """``graph`` whose constants say where in a parameter each of their elements lies."""
    data = {name: replace(graph.tensors[name], data=where) for name, (_, where) in places.items()}
    return replace(graph, tensors={**graph.tensors, **data})


def _cut(module: nn.Module, name: str, places: tuple[Array, ...]) -> None:
    """Make the parameter or buffer smaller, and say so in the layer that has it."""
    path, _, own = name.rpartition(".")
    layer = module.get_submodule(path)
    whole = getattr(layer, own)
    index = np.ix_(*places)
    small = whole.detach()[tuple(torch.from_numpy(part) for part in index)].clone()
    if isinstance(whole, nn.Parameter):
        setattr(layer, own, nn.Parameter(small, whole.requires_grad))
    else:
        setattr(layer, own, small)
    if own in ("weight", "running_mean"):
        _say(layer, tuple(whole.shape), tuple(small.shape))


def _say(layer: nn.Module, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """The numbers of channels that layers of torch keep beside their weights."""
    if isinstance(layer, nn.modules.conv._ConvNd):
        outputs, inputs = (1, 0) if layer.transposed else (0, 1)
        if layer.groups > 1:  # each channel has its own: they go in pairs
            layer.groups = layer.groups * after[0] // before[0]
        layer.out_channels = after[outputs] * (layer.groups if layer.transposed else 1)
        layer.in_channels = after[inputs] * (1 if layer.transposed else layer.groups)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = after
    elif isinstance(layer, nn.modules.batchnorm._NormBase):
        layer.num_features = after[0]
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = after[0]


def _as_before(module: Prepared, small: nn.Module, example: Any, shrinking: _Shrinking) -> Prepared:
    """``small`` prepared as ``module`` was, with all that it has learned of its numbers."""
    plan = module.plan
    made = prepare(
        small, example, quantize=plan.quantize or False,
        prune=plan.prune, cluster=plan.cluster, freeze=plan.freeze,
    )  # fmt: skip
    state = made.state_dict()
    for name, values in module.state_dict().items():
        if name.startswith(f"{PLACE}.") and state[name].shape == values.shape:
            state[name] = values
    for index, (layer, held) in enumerate(module.layers()):
        if layer.methods.codes is not None and held.parameter in shrinking.kept:
            left = torch.from_numpy(shrinking.kept[held.parameter][layer.axis])
            state[f"{PLACE}.weights.{index}.exponents"] = layer.exponents[left]
    made.load_state_dict(state)
    made.prune_again()
    return made
