"""Structured (channel) pruning: whole channels go, so every tensor they lie in gets smaller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from mcuq.compress.groups import Group, Structure, structure
from mcuq.compress.importance import importance as importance_of
from mcuq.compress.refit import refitted
from mcuq.compress.removal import cost_of, remove, sizes_without
from mcuq.compress.threads import torch_threads
from mcuq.errors import McuqError, closest
from mcuq.ir import Array, Graph
from mcuq.quantize.structure import recurrent as recurrent_of
from mcuq.quantize.structure import weighted

SCOPES = ("global", "layer")
MEASURES = ("macs", "weights", "channels")


def prune_channels(
    graph: Graph,
    amount: float,
    *,
    importance: str = "taylor",
    calibration: Mapping[str, Array] | None = None,
    only: str | Sequence[str] | None = None,
    scope: str = "global",
    multiple: int = 4,
    measure: str = "macs",
    refit: bool = True,
    of: Graph | None = None,
    seed: int = 0,
) -> Graph:
    """``graph``, which must be ready (``passes.run``), with at least ``amount`` (0..1) less of it.

    ``measure``: of what: macs, weights, or channels that can be removed. ``only``: patterns of
    layer names as in a shell; then the amount is of those layers. ``scope``: "global" removes where
    the output changes least for what is saved, "layer" the same share of the channels everywhere.
    A layer keeps a multiple of ``multiple`` channels, and at least one. ``importance`` and
    ``calibration``: see ``importance.py``. ``refit``: with calibration data, the layers that lost
    inputs make up for it (``refit.py``). ``of``: the network that the amount is a share of, if
    ``graph`` has already lost channels of it (gradual pruning).
    """
    found, removed = chosen_channels(
        graph, amount, importance=importance, calibration=calibration, only=only, scope=scope,
        multiple=multiple, measure=measure, of=of, seed=seed,
    )  # fmt: skip
    small = remove(graph, found, removed)
    if not (removed and refit and calibration):
        return small
    with torch_threads(1):
        return refitted(small, graph, found, removed, calibration)


def chosen_channels(
    graph: Graph,
    amount: float,
    *,
    importance: str = "taylor",
    calibration: Mapping[str, Array] | None = None,
    only: str | Sequence[str] | None = None,
    scope: str = "global",
    multiple: int = 4,
    measure: str = "macs",
    of: Graph | None = None,
    seed: int = 0,
    recurrent: bool = True,
) -> tuple[Structure, frozenset[int]]:
    """The units of ``graph``, and those that ``prune_channels`` removes.

    ``recurrent``: whether recurrent layers may lose units or inputs.
    """
    _check(amount, scope, measure, multiple)
    plan = _Removal.of(graph, only, measure, multiple, recurrent)
    return plan.found, _chosen(plan, amount, importance, calibration, scope, of, seed)


def _chosen(
    plan: _Removal,
    amount: float,
    importance: str,
    calibration: Mapping[str, Array] | None,
    scope: str,
    of: Graph | None,
    seed: int,
) -> frozenset[int]:
    """The units that matter least, without which ``amount`` of it is gone."""
    graph = plan.graph
    whole = plan if of is None else plan.before(of)
    target = (1.0 - amount) * whole.cost(frozenset()) + 1e-9
    if plan.cost(frozenset()) <= target:
        return frozenset()
    with torch_threads(1):
        score = importance_of(graph, plan.found, importance, calibration, seed)
    order = {group: sorted(group.units, key=lambda u: (score[u], u)) for group in plan.groups}
    # Sums of norms are no loss, so only ``taylor`` can be weighed against a price.
    worth = plan.by_worth(order, score, priced=importance == "taylor")
    taken: list[Part] = []
    for taken in worth if scope == "global" else plan.evenly(order):
        if plan.cost(_units(taken)) <= target:
            return plan.without_excess(taken, target)
    raise _empties(plan, amount, _units(taken))


@dataclass(frozen=True)
class Part:
    """Units of a group that go at once."""

    group: Group
    units: tuple[int, ...]


Order = Mapping[Group, list[int]]
"""The units of each group, those that matter least first."""


@dataclass(frozen=True)
class _Removal:
    """What may be removed from ``graph``, in which steps, and what that saves."""

    graph: Graph
    found: Structure
    groups: tuple[Group, ...]
    layers: frozenset[str]
    measure: str
    multiple: int
    recurrent: bool

    @classmethod
    def of(
        cls,
        graph: Graph,
        only: str | Sequence[str] | None,
        measure: str,
        multiple: int,
        recurrent: bool,
    ) -> _Removal:
        found = structure(graph, recurrent)
        chosen = layers_matching(graph, only)
        plan = cls(graph, found, _groups(found, chosen), chosen, measure, multiple, recurrent)
        if not plan.groups:
            raise _nothing(graph, found, chosen)
        return plan

    def before(self, graph: Graph) -> _Removal:
        """The plan for the same layers of ``graph``."""
        found = structure(graph, self.recurrent)
        return replace(self, graph=graph, found=found, groups=_groups(found, self.layers))

    def cost(self, removed: frozenset[int]) -> float:
        if self.measure == "channels":
            return sum(len(g.units) for g in self.groups) - len(removed)
        shapes = sizes_without(self.graph, self.found, removed)
        return cost_of(self.graph, shapes, self.measure, self.layers)

    def chunk(self, left: int) -> int:
        """How many of ``left`` units go at once; 0 if no more may go."""
        size = left % self.multiple or self.multiple
        return size if left > size else 0

    def by_worth(self, order: Order, score: Array, priced: bool) -> Iterator[list[Part]]:
        """Ever more parts: each step adds what matters least, ``priced``: for what it saves."""
        taken: list[Part] = []
        left = {group: list(units) for group, units in order.items()}
        while True:
            removed = _units(taken)
            now = self.cost(removed)
            options: list[tuple[float, int, Part]] = []
            for group, units in left.items():
                units = units[: self.chunk(len(units))]
                if units:
                    saved = max(now - self.cost(removed.union(units)), 1e-9)
                    matters = float(score[units].sum()) / (saved if priced else len(units))
                    options.append((matters, len(options), Part(group, tuple(units))))
            if not options:
                return
            best = min(options)[2]
            del left[best.group][: len(best.units)]
            taken.append(best)
            yield taken

    def evenly(self, order: Order) -> Iterator[list[Part]]:
        """Ever more parts: each step removes one more hundredth of every group."""
        for percent in range(1, 101):
            taken = []
            for group, units in order.items():
                kept, left = len(units) * (100 - percent) / 100, len(units)
                while (size := self.chunk(left)) and left - size >= kept:
                    first = len(units) - left
                    taken.append(Part(group, tuple(units[first : first + size])))
                    left -= size
            yield taken

    def without_excess(self, taken: Sequence[Part], target: float) -> frozenset[int]:
        """The units of ``taken``, less those, from the last one on, without which it suffices."""
        needed, kept = list(taken), set()
        for part in reversed(taken):
            fewer = [p for p in needed if p is not part]
            if part.group not in kept and self.cost(_units(fewer)) <= target:
                needed = fewer
            else:
                kept.add(part.group)
        return _units(needed)


def _groups(found: Structure, layers: frozenset[str]) -> tuple[Group, ...]:
    """The groups whose every filter is of one of ``layers``."""
    return tuple(g for g in found.groups if layers.issuperset(g.layers) and len(g.units) > 1)


def _units(parts: Sequence[Part]) -> frozenset[int]:
    return frozenset(unit for part in parts for unit in part.units)


def layers_matching(graph: Graph, only: str | Sequence[str] | None) -> frozenset[str]:
    """The names of layers with weights that match one of the patterns ``only``; all for None."""
    names = [node.name for node in (*weighted(graph), *recurrent_of(graph))]
    if only is None:
        return frozenset(names)
    chosen: set[str] = set()
    for pattern in [only] if isinstance(only, str) else only:
        matching = {name for name in names if fnmatchcase(name, pattern)}
        if not matching:
            remedy = closest(pattern, names, "", near=0.0)
            raise McuqError(graph.name, f"no layer matches '{pattern}'", remedy)
        chosen |= matching
    return frozenset(chosen)


def _check(amount: float, scope: str, measure: str, multiple: int) -> None:
    if not 0 <= amount <= 1:
        reason = f"the amount {amount:g} is outside 0..1"
        raise McuqError("structured pruning", reason, "0.5 removes half")
    if multiple < 1:
        reason = f"channels in multiples of {multiple}"
        raise McuqError("structured pruning", reason, "Give 1 or more")
    for key, value, known in (("scope", scope, SCOPES), ("measure", measure, MEASURES)):
        if value not in known:
            raise McuqError(key, f"'{value}' is not one of {', '.join(known)}")


def _nothing(graph: Graph, found: Structure, chosen: frozenset[str]) -> McuqError:
    """No group can be pruned: because of a tie to other layers, or for good."""
    tied = [g for g in found.groups if chosen.intersection(g.layers)]
    if tied:
        others = sorted(set(tied[0].layers) - chosen)
        reason = f"the channels of these layers are tied to those of '{others[0]}'"
        return McuqError(graph.name, reason, "Name that layer, too")
    reason = "no channel can be removed (they are inputs, outputs, or of grouped convolutions)"
    return McuqError(graph.name, reason, "Name other layers, or prune their weights instead")


def _empties(plan: _Removal, amount: float, reached: frozenset[int]) -> McuqError:
    whole = plan.cost(frozenset())
    # Rounded down: what is offered must be possible.
    possible = int(1000 * (1 - plan.cost(reached) / whole)) / 1000
    layer = min(plan.groups, key=lambda g: len(g.units)).layers[0]
    reason = f"removing {amount:.0%} of the {plan.measure} would empty a layer, such as '{layer}'"
    smaller = f", or a multiple below {plan.multiple}" if plan.multiple > 1 else ""
    return McuqError(plan.graph.name, reason, f"Ask for at most {possible:.1%}{smaller}")
