"""What a test harness must know about a generated model: its name, buffers and steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Argument:
    """An input or output of the generated function: its C identifier and its size."""

    name: str
    bytes: int


@dataclass(frozen=True)
class StepInfo:
    """A step that reports its output tensor: the name that reports use, and the tensor's size."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Entry:
    """``<id>_run(arena, inputs..., outputs...)`` of ``<id>.h``; ``arena`` in bytes, aligned to 16.

    With a ``state``, its bytes: ``<id>_step(arena, state, inputs..., outputs...)``. ``blob``: the
    weights, if they lie apart and are the first argument.

    ``steps`` are in the order in which they run, and the index is what ``MCUQ_TRACE_STEP`` passes.
    """

    id: str
    arena: int
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    steps: tuple[StepInfo, ...]
    blob: bytes | None = None
    state: int = 0

    @property
    def function(self) -> str:
        """What a harness calls."""
        return f"{self.id}_{'step' if self.state else 'run'}"

    @property
    def input_bytes(self) -> int:
        """Bytes of one vector of inputs.

        >>> Entry("m", 0, (Argument("x", 3), Argument("z", 2)), (Argument("y", 1),), ()).input_bytes
        5
        """
        return sum(buffer.bytes for buffer in self.inputs)
