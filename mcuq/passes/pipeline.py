"""The passes, in order. Each takes a graph and returns one; all are checked after each."""

from __future__ import annotations

from collections.abc import Callable

from mcuq.ir import Graph, problems, rebuild
from mcuq.passes.absorb_factors import absorb_factors
from mcuq.passes.absorb_shuffles import absorb_shuffles
from mcuq.passes.before_copies import before_copies
from mcuq.passes.crop_layers import crop_layers
from mcuq.passes.drop_identities import drop_identities
from mcuq.passes.fold_batch_norm import fold_batch_norm
from mcuq.passes.fuse_clips import fuse_clips
from mcuq.passes.join_affine import join_affine
from mcuq.passes.join_functions import join_functions
from mcuq.passes.join_norms import join_norms
from mcuq.passes.join_sums import join_sums
from mcuq.passes.keep_last_states import keep_last_states
from mcuq.passes.lower_batch_norm import lower_batch_norm
from mcuq.passes.melt_moves import melt_moves
from mcuq.passes.merge_pads import merge_pads
from mcuq.passes.restore_names import restore_names
from mcuq.passes.use_depthwise import use_depthwise

Pass = Callable[[Graph], Graph]


def drop_dead(graph: Graph) -> Graph:
    """``graph`` without the nodes and constants that no output needs."""
    return rebuild(graph, graph.nodes, graph.tensors)


PASSES: tuple[tuple[str, Pass], ...] = (
    ("drop_dead", drop_dead),
    ("drop_identities", drop_identities),
    ("melt_moves", melt_moves),
    ("before_copies", before_copies),
    ("absorb_factors", absorb_factors),
    ("join_sums", join_sums),
    ("join_norms", join_norms),
    ("join_affine", join_affine),
    ("fold_batch_norm", fold_batch_norm),
    ("use_depthwise", use_depthwise),
    ("lower_batch_norm", lower_batch_norm),
    ("fuse_clips", fuse_clips),
    ("absorb_shuffles", absorb_shuffles),
    ("merge_pads", merge_pads),
    ("keep_last_states", keep_last_states),
    ("crop_layers", crop_layers),
    ("join_functions", join_functions),
    ("drop_remaining_identities", drop_identities),
    ("restore_names", restore_names),
)


class BrokenPassError(Exception):
    """A pass left a graph that is not valid: our own bug, never the user's model."""


def run(graph: Graph, passes: tuple[tuple[str, Pass], ...] = PASSES) -> Graph:
    """The graph after all ``passes``, validated after each one."""
    for name, function in passes:
        graph = function(graph)
        if faults := "; ".join(problems(graph)):
            raise BrokenPassError(f"pass {name}: {faults}")
    return graph
