"""From a module to a prepared one: trace it, import it, and put the rounding in its places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from mcuq.compress.pipeline import effective
from mcuq.compress.power import input_power
from mcuq.compress.request import Methods
from mcuq.errors import McuqError
from mcuq.ir import Graph
from mcuq.ops import has_weights
from mcuq.quantize import wide
from mcuq.quantize.ranges import scales
from mcuq.quantize.structure import groups, never_negative
from mcuq.reference import run_float
from mcuq.train import matching
from mcuq.train.activations import Activation
from mcuq.train.numbers import observed
from mcuq.train.options import (
    Cluster,
    Prune,
    Quantize,
    Words,
    cluster_of,
    prune_of,
    quantize_of,
    request_of,
)
from mcuq.train.prepared import Behind, Norm, Parts, Preparation, Prepared
from mcuq.train.program import BATCH_NORM, PLACE
from mcuq.train.source import Source, calls_of, real, target_of
from mcuq.train.weights import Weight


def prepare(
    module: nn.Module,
    example: Tensor | Sequence[Tensor],
    *,
    quantize: bool | Quantize = True,
    prune: Words | Prune | None = None,
    cluster: Words | Cluster | None = None,
    freeze: int | None = None,
) -> Prepared:
    """A copy of ``module`` that is trained with the numbers of the chip; ``finish`` ends it.

    ``example``: typical inputs, a batch each: their shapes are the network's, and their values give
    the first ranges. ``quantize``: False leaves it in float. ``prune``, such as "block:0.8", and
    ``cluster``, such as "cluster:4bit": for all layers, or by a pattern of their names; ``Prune``
    and ``Cluster`` say when. ``freeze``: the training step from which the statistics of BatchNorm
    and the ranges stay as they are.

    It has the module's parameters, under their names, on its device; masks, tables, ranges and the
    number of steps are in its ``state_dict``, too, so training goes on from a checkpoint. Raises
    ``McuqError`` for what cannot be traced or compiled.
    """
    chosen = quantize_of(quantize), prune_of(prune), cluster_of(cluster)
    if freeze is not None and freeze < 0:
        raise McuqError("prepare", f"freeze {freeze}", "Give a step, 0 or later, or None")
    source = Source.of(module, example)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    return _Preparation(source, *chosen, freeze).made().to(device)


def finish(module: Prepared) -> Graph:
    """The trained network with its numbers: ``mcuq.compile`` takes it, and needs no calibration."""
    if not isinstance(module, Prepared):
        reason = f"is a {type(module).__name__}, not what prepare returned"
        raise McuqError("finish", reason, "Pass mcuq.train.prepare(module, example)")
    return module.finished()


class _Preparation:
    """The steps of ``prepare``, and what they hand on."""

    def __init__(
        self,
        source: Source,
        quantize: Quantize | None,
        prune: Prune | None,
        cluster: Cluster | None,
        freeze: int | None,
    ) -> None:
        self.source, self.graph = source, source.program.graph
        self.quantize, self.prune, self.cluster, self.freeze = quantize, prune, cluster, freeze

    def made(self) -> Prepared:
        source = self.source
        activations, names, matched = self._activations()
        weights, behind, biases = self._weights()
        norms = self._norms()
        self.graph.lint()
        calibrated = source.feeds if source.enough else None
        power = input_power(source.ready, calibrated)
        asked = (self.quantize, self.prune, self.cluster, self.freeze)
        plan = Preparation(source, power, names, matched, *asked)
        constants = list(source.program.constants.values())
        made = Prepared(plan, Parts(activations, weights, norms, constants), behind, biases)
        made.set_factors()
        return made

    def _activations(
        self,
    ) -> tuple[list[Activation], tuple[tuple[str, ...], ...], frozenset[str]]:
        """The activations by group, the names of each, and which were found in the program."""
        if self.quantize is None:
            return [], (), frozenset()
        wide.check(self.source.ready, self.quantize.by_name)
        state = observed(self.source.ready, self.source.feeds, self.quantize)
        never, fixed = never_negative(state.graph), scales.dictated(state.graph)
        values = run_float(state.graph, self.source.feeds)
        places = matching.nodes_of(values, self.source.values())
        made: list[Activation] = []
        names: list[tuple[str, ...]] = []
        matched: set[str] = set()
        taken: set[fx.Node] = set()
        for group in groups(state.graph):
            act = state.acts[group[0]]
            if act.kind not in ("s8", "s16"):
                continue
            below = all(name in never for name in group)
            moves = not any(name in fixed for name in group)
            found = (places[name] for name in group if name in places)
            nodes = [node for node in dict.fromkeys(found) if node not in taken]
            learned = bool(nodes) and self.quantize.ranges == "learned"
            made.append(Activation(act, moves, learned, below, self.quantize.signed))
            names.append(group)
            if nodes:
                matched.update(group)
            taken.update(nodes)
            for node in nodes:
                self._insert(node, f"{PLACE}.activations.{len(made) - 1}")
        return made, tuple(names), frozenset(matched)

    def _insert(self, node: fx.Node, target: str) -> None:
        """Round what ``node`` makes, for all who read it."""
        with self.graph.inserting_after(node):
            call = self.graph.call_module(target, (node,))
        node.replace_all_uses_with(call, lambda user: user is not call)

    def _weights(self) -> tuple[list[Weight], dict[int, Behind], dict[int, str]]:
        """A ``Weight`` for each constant that a parameter holds, the BatchNorm behind it, and the
        parameter that is added to what comes out.
        """
        methods = self._methods()
        made: list[Weight] = []
        behind: dict[int, Behind] = {}
        biases: dict[int, str] = {}
        for held in self.source.held:
            shape = self.source.state[held.parameter].shape
            wanted = methods.get(held.node.name, Methods())
            weight = Weight(shape, held.places, held.axis, wanted, self.quantize is not None)
            for node in list(self.graph.nodes):
                if node.op == "get_attr" and node.target == held.parameter:
                    norm = self._norm_behind(node)
                    if norm is not None:
                        behind[len(made)] = target_of(norm.args[1]), str(target_of(norm.args[4]))
                        weight.eps = real(norm.args[7])
                    added = target_of(self._added(node, norm))
                    if added is not None:
                        biases[len(made)] = added
                    self._weigh(node, f"{PLACE}.weights.{len(made)}", norm)
            made.append(weight)
        return made, behind, biases

    def _added(self, parameter: fx.Node, norm: fx.Node | None) -> Any:
        """What the layer that alone reads ``parameter``, or its BatchNorm, adds."""
        reader = norm if norm is not None else _sole(parameter)
        return reader.args[2] if reader is not None and len(reader.args) > 2 else None

    def _weigh(self, node: fx.Node, target: str, norm: fx.Node | None) -> None:
        last = [n for n in self.graph.nodes if n.op == "get_attr"][-1]
        with self.graph.inserting_after(last):
            gain = self._attribute(None if norm is None else norm.args[1])
            variance = self._attribute(None if norm is None else norm.args[4])
        first = next(n for n in self.graph.nodes if n in node.users)
        with self.graph.inserting_before(first):
            call = self.graph.call_module(target, (node, gain, variance))
        node.replace_all_uses_with(call, lambda user: user is not call)

    def _attribute(self, node: Any) -> fx.Node | None:
        """A read of the same parameter, there where nodes are inserted."""
        return None if node is None else self.graph.get_attr(str(node.target))

    def _norm_behind(self, parameter: fx.Node) -> fx.Node | None:
        """The BatchNorm that alone reads the layer which alone reads ``parameter``."""
        layer = _sole(parameter)
        norm = None if layer is None or parameter is layer.args[0] else _sole(layer)
        return norm if norm is not None and norm.target == BATCH_NORM else None

    def _methods(self) -> Mapping[str, Methods]:
        """What is asked for of each layer."""
        asked: dict[str, Methods] = {}
        for given, thing in ((self.prune, "prune"), (self.cluster, "cluster")):
            if given is None:
                continue
            for name, made in effective(
                self.source.ready, request_of(given.methods, thing)
            ).items():
                before = asked.get(name, Methods())
                asked[name] = Methods(None, made.zeros or before.zeros, made.codes or before.codes)
        missing = sorted(n for n in asked if str(asked[n]) != "none" and n not in self._layers())
        if missing:
            reason = f"layer '{missing[0]}' has weights that are not one parameter of the module"
            raise McuqError(
                self.source.ready.name, reason, "Give its pattern 'none', or leave it out"
            )
        return asked

    def _layers(self) -> frozenset[str]:
        return frozenset(held.node.name for held in self.source.held if has_weights(held.node))

    def _norms(self) -> list[Norm]:
        made: list[Norm] = []
        for node in calls_of(self.graph, BATCH_NORM):
            x, gain, shift, mean, variance, training, momentum, eps = node.args[:8]
            made.append(Norm(bool(training), real(momentum), real(eps)))
            with self.graph.inserting_before(node):
                target = f"{PLACE}.norms.{len(made) - 1}"
                call = self.graph.call_module(target, (x, gain, shift, mean, variance))
            node.replace_all_uses_with(call)
            self.graph.erase_node(node)
        return made


def _sole(node: fx.Node) -> fx.Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 else None
