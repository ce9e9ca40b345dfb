"""The report of a compiled model: one record, its text and its JSON (``docs/report.md``).

Sizes are bytes, ratios of signal to noise dB; a ratio that is infinite, for nothing was lost, is
None. What ``report.json`` holds is what these classes hold; one that is read is checked by them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mcuq import schema
from mcuq.compress.notes import Compression
from mcuq.draw.html import table
from mcuq.errors import DataError, brief
from mcuq.files import read_file
from mcuq.program.fit import Memory
from mcuq.quantize.given import Given
from mcuq.schema.records import Bytes, Key, plain, read

FILE = "report.json"
# A list that json.dumps has spread over lines, one number each.
_NUMBERS = re.compile(r"\[\n((?:\s+-?[\d.eE+-]+,?\n)+)\s*\]")

Frac = Annotated[int | tuple[int, ...], "real = (q - zero) * 2**-frac; weights: one a channel"]
Shape = tuple[Bytes, ...]
Decibels = float | None


@dataclass(frozen=True)
class TensorFacts:
    """An activation in integers."""

    tensor: Annotated[str, "its name"]
    shape: Annotated[Shape, "as the C code has it: channels last, batch 1"]
    kind: Annotated[str, "u8, s8, s16 or s32"]
    frac: Frac
    zero: Annotated[int, "the integer that means 0"]


@dataclass(frozen=True)
class PortFacts:
    """An input or an output."""

    name: Annotated[str, "as the model calls it"]
    tensor: Annotated[str, "the tensor of the integer network behind it"]
    shape: Annotated[Shape, "as the C code has it: channels last, batch 1"]
    kind: Annotated[str, "u8, s8, s16 or s32"]
    frac: Frac
    zero: Annotated[int, "the integer that means 0"]
    model_shape: Annotated[Shape, "as the model has it"]
    order: Annotated[str, "where the elements of the model's own lie"]
    scale: Annotated[tuple[float, ...], "real = (q - offset) * scale; one, or one a channel"]
    offset: Annotated[tuple[float, ...], "see scale"]


@dataclass(frozen=True)
class StepFacts:
    """One step of the C function."""

    name: Annotated[str, "the node's name in the model"]
    op: Annotated[str, "the operator, as 'mcuq ops' lists it"]
    kernel: Annotated[str, "the C function that runs it"]
    macs: Annotated[Bytes, "products of one inference"]
    inputs: Annotated[tuple[TensorFacts, ...], "the activations that it reads"]
    output: Annotated[TensorFacts, "the activation that it writes"]
    flash: Annotated[Bytes, "bytes of its constants"]
    scratch: Annotated[Bytes, "bytes of the arena that only this step uses"]
    arena_offset: Annotated[Bytes | None, "where its output lies; null: in the caller's buffer"]
    estimated_instructions: Annotated[Bytes, "of one inference, without measuring"]


@dataclass(frozen=True)
class QuantizerStep:
    """What one step of the quantizer did to the output."""

    step: Annotated[str, "which"]
    before_db: Annotated[Decibels, "SQNR of the output on held-out rows before it"]
    after_db: Annotated[Decibels, "and after"]
    kept: Annotated[bool, "whether the step was kept: what makes it worse is not"]


@dataclass(frozen=True)
class MixedPrecision:
    """Which tensors got 16 bits."""

    budget: Annotated[float, "the most that the cost may grow by, as a factor"]
    price: Annotated[float | None, "what it grew by; null if it is not known"]
    tensors: Annotated[tuple[str, ...], "those of 16 bits"]


@dataclass(frozen=True)
class Quantization:
    """How the network came to its integers."""

    effort: Annotated[str, "fast, normal or best"]
    calibration_rows: Annotated[Bytes, "typical inputs that were given"]
    steps: Annotated[tuple[QuantizerStep, ...], "in their order"]
    mixed_precision: Annotated[MixedPrecision | None, "if it was asked for"] = None


@dataclass(frozen=True)
class QuantizedModel:
    """What became of a model that was quantized before."""

    kept: Annotated[Bytes, "tensors whose scale was a power of two"]
    refitted: Annotated[Bytes, "the others"]
    tensors: Annotated[tuple[Given, ...], "those that came with a scale"]


@dataclass(frozen=True)
class JudgedOutput:
    """One output against the float network."""

    name: Annotated[str, "as the model calls it"]
    sqnr_db: Annotated[Decibels, "signal over noise; null: equal"]
    mse: Annotated[float, schema.LIMIT, "mean squared error"]
    mae: Annotated[float, schema.LIMIT, "mean absolute error"]


@dataclass(frozen=True)
class Judged:
    """The integer network against the float one, while compiling."""

    rows: Annotated[Bytes, "calibration rows that it was judged on"]
    held_out: Annotated[bool, "whether the quantizer has not seen them"]
    sqnr_db: Annotated[Decibels, "of the worst output, or of what its softmax reads; null: equal"]
    agreement: Annotated[float | None, "share of rows of the same class; null: no classes"]
    outputs: Annotated[tuple[JudgedOutput, ...], "one by one"]
    warnings: Annotated[tuple[str, ...], "what the user should know, one sentence each"]


@dataclass(frozen=True)
class Apart:
    """Weights that lie apart from the code."""

    file: Annotated[str, "in the folder"]
    version: Annotated[Bytes, "the user's own, which the code compares"]


@dataclass(frozen=True)
class Member:
    """A core of a folder for several."""

    core: Annotated[str, "its name"]
    condition: Annotated[str, Key("if"), "of the C preprocessor; empty: all others"]
    arena: Annotated[Bytes, "bytes that it needs"]


@dataclass(frozen=True)
class Fix:
    """What to do about a layer."""

    layer: Annotated[str, "its name"]
    cause: Annotated[str, "weights, rounding or clipping"]
    text: Annotated[str, "what to do"]
    price: Annotated[str, "what that costs"]
    gain_db: Annotated[Decibels, "what it brings at the output; null: unknown"]


@dataclass(frozen=True)
class ExplainedLayer:
    """A tensor, and the layer that writes it."""

    name: Annotated[str, "of the layer"]
    op: Annotated[str, "its operator, or input"]
    tensor: Annotated[str, "what it writes"]
    frac: Annotated[int, "of that"]
    sqnr_db: Annotated[Decibels, "against float, with all errors so far"]
    cosine: Annotated[float, "of the angle between both"]
    clipped: Annotated[float, "share of the float values outside its range"]
    used: Annotated[float, "share of its integers between its lowest and its highest"]
    zero: Annotated[bool, "it is 0 for every row"]
    share_of_noise: Annotated[
        Mapping[str, float], "its part in the noise at the output, by cause: 0 to 1"
    ]


@dataclass(frozen=True)
class Explained:
    """What 'mcuq explain' found."""

    rows: Annotated[Bytes, "inputs that it was run on"]
    output_sqnr_db: Annotated[Decibels, "of the outputs on them"]
    steps: Annotated[tuple[QuantizerStep, ...], "as under quantization"]
    layers: Annotated[tuple[ExplainedLayer, ...], "in the order of the network"]
    fixes: Annotated[tuple[Fix, ...], "for the layers that bring the most noise"]
    advice: Annotated[tuple[str, ...], "one sentence each"]


@dataclass(frozen=True)
class Asked:
    """What a compile was asked for, beside board and preference: as options of the command line.

    ``config``: the configuration file. ``rest``: whether neither of them says all of it, for a
    configuration was given in Python.
    """

    options: tuple[str, ...] = ()
    config: str = ""
    rest: bool = False


@dataclass(frozen=True)
class History:
    """What was done to the network on its way to integers: parts of the report of the same names.

    ``quantization`` is None of a network that was not made by the quantizer. ``asked``: what the
    report does not repeat.
    """

    quantization: Quantization | None = None
    quantized_model: QuantizedModel | None = None
    judged: Judged | None = None
    compression: Compression | None = None
    asked: Asked | None = None


@dataclass(frozen=True)
class StreamFacts:
    """Of a network that is called once a step and keeps a state in between."""

    state: Annotated[Bytes, "bytes of the caller's state"]
    frames: Annotated[Bytes, "new frames of the input a step"]
    warmup: Annotated[Bytes, "outputs before the first that a whole window was seen for"]
    delay: Annotated[Bytes, "steps by which outputs are late"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """All that is known of a compiled model without building it."""

    mcuq: Annotated[str, "the version that compiled it"]
    name: Annotated[str, "the prefix of its C symbols"]
    source_sha256: Annotated[str, "of the model's file"]
    core: Annotated[str, "whose kernels were chosen"]
    prefer: Annotated[str, "balanced, speed or size"]
    macs: Annotated[Bytes, "products of one inference"]
    params: Annotated[Bytes, "weights and biases"]
    flash_weights: Annotated[Bytes, "bytes of constants, packed as the kernels want them"]
    arena: Annotated[Bytes, "bytes of the caller's arena, scratch included"]
    arena_lower_bound: Annotated[Bytes, "no plan of these steps needs less"]
    io: Annotated[Bytes, "bytes of the caller's input and output buffers"]
    inputs: Annotated[tuple[PortFacts, ...], "in the order of the C function"]
    outputs: Annotated[tuple[PortFacts, ...], "in the order of the C function"]
    steps: Annotated[tuple[StepFacts, ...], "in the order of the C function"]
    quantization: Annotated[Quantization | None, "how it came to its integers"] = None
    quantized_model: Annotated[QuantizedModel | None, "if it was quantized before"] = None
    judged: Annotated[Judged | None, "if there was calibration data"] = None
    compression: Annotated[Compression | None, "if it was compressed"] = None
    boards: Annotated[Mapping[str, Memory], "for which it was compiled and which it fits"] = field(
        default_factory=dict
    )
    weights: Annotated[Apart | None, "if they lie apart from the code"] = None
    stream: Annotated[StreamFacts | None, "if it keeps a state from call to call"] = None
    kernels: Annotated[str, "which core the kernels are for, and what they take on others"]
    slower_than_own: Annotated[
        Mapping[str, float], "by richer core: their cycles over those of its own kernels"
    ]
    family: Annotated[tuple[Member, ...], "of a folder for several cores"] = ()
    explain: Annotated[Explained | None, "once 'mcuq explain' has run"] = None

    def __repr__(self) -> str:
        return self.brief("Report")

    def _repr_html_(self) -> str:
        return table(("", ""), self.summary)

    def brief(self, kind: str) -> str:
        """One line: the name, the board, flash and arena."""
        return brief(kind, self.name, *(f"{what} {value}" for what, value in self.summary[1:]))

    @property
    def summary(self) -> tuple[tuple[str, str], ...]:
        """The few numbers that come first, each with its name."""
        board = next(iter(self.boards), None)
        flash = ("weights", self.flash_weights)
        if board is not None:
            flash = ("flash", self.boards[board].flash)
        judged = self.judged.sqnr_db if self.judged else None
        return (
            ("model", self.name),
            ("for", board or "any core"),
            (flash[0], f"{flash[1]:,} B"),
            ("arena", f"{self.arena:,} B"),
            *((("SQNR", f"{judged:.1f} dB"),) if judged is not None else ()),
        )


def to_json(report: Report) -> str:
    """The report as text, lists of numbers on one line."""
    text = json.dumps(plain(report), indent=2, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def from_json(content: str | bytes) -> Report:
    """What ``to_json`` wrote; ValueError for anything else."""
    return read(Report, schema.from_json(content), "")


def load(folder: Path) -> Report:
    """The report of a folder that ``mcuq compile`` has written."""
    path = folder / FILE
    if not path.is_file():
        reason = f"holds no {FILE}"
        raise DataError(str(folder), reason, "Name a folder that 'mcuq compile' has written")
    try:
        return from_json(read_file(path))
    except ValueError as error:
        reason = f"is damaged or was changed ({error})"
        raise DataError(str(path), reason, "Compile the model again") from error


def to_text(report: Report) -> Iterator[str]:
    """What a terminal shows of it, a line each."""
    if report.judged:
        yield _judged(report.judged)
    yield (
        f"{report.macs:,} MACs, {report.flash_weights:,} B of weights, {report.arena:,} B of arena "
        f"(no plan needs less than {report.arena_lower_bound:,} B)"
    )
    if report.stream:
        kept, frames = report.stream.state, report.stream.frames
        yield f"a stream of {frames} frame(s) a step, {kept:,} B of state"
    yield report.kernels
    for name, needs in report.boards.items():
        yield (
            f"fits {name}: about {needs.flash:,} B flash, {arena_text(report, needs)}, "
            f"{needs.stack:,} B stack, {needs.io:,} B input and output"
        )


def arena_text(report: Report, needs: Memory) -> str:
    """The bytes of the arena, and of the state that a stream keeps."""
    state = report.stream.state if report.stream else 0
    kept = f" and {state:,} B state" if state else ""
    return f"{needs.ram - state:,} B arena{kept}"


def _judged(judged: Judged) -> str:
    decibels, agreement = judged.sqnr_db, judged.agreement
    text = "equal to float" if decibels is None else f"output SQNR {decibels:.1f} dB"
    same = "" if agreement is None else f", the same class in {100 * agreement:.1f} %"
    kind = "held-out calibration" if judged.held_out else "calibration"
    return f"{text}{same} (on {judged.rows} {kind} rows)"
