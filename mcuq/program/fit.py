"""Does it fit? Decided before anything is built, from the numbers the linker later confirms.

Constants and buffers are known exactly. The code and stack of every kernel on every core were
measured once (``kernels/sizes.py``); a test compares the sums with linked images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from mcuq.errors import FitError, raise_all, size_text
from mcuq.ir import fed, shown
from mcuq.kernels.sizes import kernel_flash, kernel_stack
from mcuq.kernels.variant import Call
from mcuq.program.lower import Program
from mcuq.program.plan import Plan
from mcuq.program.state import state_bytes
from mcuq.schema.records import Bytes
from mcuq.targets.boards import Board

# What one call costs in <model>.c beside its parameters: loading the arguments and branching.
_CALL_CODE = 24
_MODEL_STACK = 64


@dataclass(frozen=True)
class Memory:
    """What a model takes of a board, in bytes."""

    flash: Annotated[Bytes, "constants and code"]
    ram: Annotated[Bytes, "the arena, and what a stream keeps"]
    stack: Annotated[Bytes, "what the deepest kernel takes at most"]
    io: Annotated[Bytes, "the caller's input and output buffers"]

    @property
    def all_ram(self) -> int:
        return self.ram + self.stack + self.io


def check(program: Program, plan: Plan, board: Board) -> Memory:
    """What the model takes of ``board``; FitError if that is more than there is."""
    needs = estimate(program, plan, board)
    name = program.qgraph.name
    over = [
        *_over(name, "flash", needs.flash, board.flash.length, board, _largest_step(program)),
        *_over(name, "RAM", needs.all_ram, board.ram.length, board, _largest_buffer(plan)),
    ]
    raise_all(over)
    return needs


def estimate(program: Program, plan: Plan, board: Board) -> Memory:
    """What the model takes of ``board``, whether it has that or not."""
    symbols = {call.symbol for step in program.steps for call in step.calls}
    tensors = program.qgraph.tensors
    ports = (*fed(program.qgraph), *shown(program.qgraph))
    return Memory(
        flash=estimate_flash(program, board.cpu),
        ram=plan.size + state_bytes(program.qgraph),
        stack=_MODEL_STACK + max((kernel_stack(s, board.cpu) for s in symbols), default=0),
        io=sum(tensors[p.tensor].bytes for p in ports),
    )


def estimate_flash(program: Program, core: str) -> int:
    """The bytes of constants and code on ``core``."""
    calls = [call for step in program.steps for call in step.calls]
    code = sum(kernel_flash(symbol, core) for symbol in {call.symbol for call in calls})
    return code + sum(_parameters(c) + _CALL_CODE for c in calls) + _constants(program)


def _constants(program: Program) -> int:
    packed = sum(step.flash for step in program.steps)
    graph = program.qgraph
    names = {n for s in program.steps for c in s.calls for n in c.inputs if graph.is_constant(n)}
    return packed + sum(graph.tensors[n].bytes for n in names)


def _parameters(call: Call) -> int:
    """The bytes of a parameter struct, rounded up: no member is larger than 4 bytes."""
    return 4 * sum(len(f.value) if isinstance(f.value, tuple) else 1 for f in call.fields)


def _over(
    name: str, what: str, needed: int, has: int, board: Board, largest: str
) -> Iterable[FitError]:
    if needed > has:
        reason = (
            f"needs {size_text(needed)} {what}, {board.name} has {size_text(has)} "
            f"(over by {size_text(needed - has)}); largest: {largest}"
        )
        yield FitError(name, reason, "Choose a larger board or a smaller network")


def _largest_step(program: Program) -> str:
    step = max(program.steps, key=lambda s: s.flash)
    return f"{step.node.name} weights {size_text(step.flash)}"


def _largest_buffer(plan: Plan) -> str:
    if not plan.tensors:
        return "the input and output buffers"
    name, placed = max(plan.tensors.items(), key=lambda item: item[1].buffer.size)
    return f"{name} {size_text(placed.buffer.size)}"
