"""What an operator is: a frozen record of functions and traits, one record per operator.

A module under ``ops/`` defines these functions and an ``OP``; ``ops/__init__.py`` lists them. What
anybody else asks of an operator is a trait here, whose default is safe: an operator that says
nothing is left alone by passes, equalization and pruning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts.layout import Layout
from mcuq.qir import QGraph, QTensor, QTensors
from mcuq.schema import Fields

if TYPE_CHECKING:
    import torch

    TorchTensor = torch.Tensor
else:
    TorchTensor = Any

Infer = Callable[[Node, Sequence[Shape]], Shape]
RunFloat = Callable[[Node, Sequence[TorchTensor]], TorchTensor]
Sums = Callable[[Node, TorchTensor, TorchTensor, bool], TorchTensor]
RunInt = Callable[[Node, QGraph, Sequence[Array]], Array]
Inside = Callable[[Node, Sequence[TorchTensor]], Mapping[str, float]]
Unseen = Callable[[Node, Sequence[TorchTensor]], float]
Limit = Callable[[Node, Sequence[Shape]], bool]


@dataclass(frozen=True)
class IntForm:
    """A node in integers, and the integer constants it reads (weights, bias, tables)."""

    node: Node
    constants: tuple[QTensor, ...] = ()


@dataclass(frozen=True)
class Form:
    """What a node holds: its attributes, then ``reads`` (least, most) activations and after these
    ``constants`` constants, perhaps ``more``. ``either``: an activation may be a constant as well,
    but not all. ``ranks``: the number of axes of the first inputs; ``alike``: that of every operand
    is the output's.
    """

    attrs: Fields = field(default_factory=dict)
    reads: tuple[int, int] = (1, 1)
    constants: int = 0
    more: int = 0
    either: bool = False
    ranks: tuple[int, ...] = ()
    alike: bool = False

    @property
    def most(self) -> int:
        """The most constants behind the activations."""
        return self.constants + self.more


@dataclass(frozen=True)
class Schema:
    """What nodes of an operator hold in a float and in an integer graph; None: there are none.

    ``faults(node, qgraph)``: a sentence for everything in an integer node, whose form and shapes
    are right, that does not follow from the numbers of its tensors, or could overflow.
    """

    float_form: Form | None = None
    int_form: Form | None = None
    faults: Callable[[Node, QGraph], Iterable[str]] = lambda node, qgraph: ()


@dataclass(frozen=True)
class Along:
    """Row j of the output's ``axis`` is made of ``span`` rows of the input, the first of which is
    j * stride - before.

    ``after``: so many rows of padding are behind the input, as ``before`` are in front. ``cut(n)``:
    the node that makes n rows, of as many as it needs, without padding; None if it changes nothing.
    """

    axis: int
    cut: Callable[[int], Node | None]
    span: int = 1
    stride: int = 1
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Section:
    """Rows of a recurrent node, what they are multiplied with, and which biases are theirs.

    ``input`` (M, I) and ``state`` (M, H): the vectors of all steps; None if the rows do not meet
    them. ``rows`` of both matrices, ``biases`` of the third constant.
    """

    rows: slice
    biases: slice
    input: TorchTensor | None
    state: TorchTensor | None


Sections = Callable[[Node, Sequence[TorchTensor]], tuple[Section, ...]]
"""(node, inputs over all rows) -> all of its rows."""

AlongAxis = Callable[[Node, Sequence[Shape], int, int], Along | str]
"""(node, shapes of all inputs, an input, its axis) -> what is made of its rows, or why not."""


Moved = Callable[[Node, Sequence[Array], int], Array]
ToInt = Callable[[Node, Graph, QTensors, QTensors], IntForm]


class Values(IntEnum):
    """Where the output's values come from; each says what those before it say, and more."""

    NEW = 0
    """They are computed."""

    BETWEEN = 1
    """Each lies between the least and the largest value of all inputs, or 0 where it pads."""

    PICKED = 2
    """Each is one of the first input's, found by place or order: clipping may come before."""

    SAME = 3
    """They are all those of the first input, in another order or at another width."""

    VIEW = 4
    """They lie in the memory of the first input: no code runs."""


class Flow(Enum):
    """How the channels of the inputs go on in the output; those of a layer are new."""

    TIED = "tied"
    """Unknown, or all depend on all: none can be removed."""

    POINTWISE = "pointwise"
    """Each value is made of those in the same place; operands broadcast."""

    EACH = "each"
    """Each channel (last axis) of the output is made of the same channel of the first input."""


class Scaling(Enum):
    """What positive factors on the inputs do to the output."""

    NONE = "none"
    """Something else than a factor."""

    TENSOR = "tensor"
    """One factor for all values passes on; factors per channel do not."""

    CHANNELS = "channels"
    """A factor for each channel (last axis) passes on."""

    ABSORBED = "absorbed"
    """One factor for all values of the input is undone (``OpSpec.rescaled``)."""


class Padding(Enum):
    """What lies around the image, by the attribute ``pads`` (top, left, bottom, right)."""

    NONE = "none"
    VALUE = "value"
    """The attribute ``pad_value``: one value, or one per channel."""

    ZERO = "zero"
    """0, counted or not (the attribute ``include_pad``)."""

    LOWEST = "lowest"
    """What is below every value."""


@dataclass(frozen=True)
class Format:
    """The numbers that an operator writes, whatever it reads."""

    kind: str
    frac: int
    zero: int


Bounds = tuple[float, float]
NO_CLIP: Bounds = (-math.inf, math.inf)
FuseClip = Callable[[Node, Bounds], Node]


def fused_clip(node: Node) -> Bounds:
    """The attribute ``clip``; no bounds without it."""
    low, high = node.attrs.get("clip", NO_CLIP)
    return float(low), float(high)


def always(node: Node) -> bool:
    """Whatever the attributes."""
    return True


def never(node: Node) -> bool:
    """Whatever the attributes, not."""
    return False


def _takes_all(node: Node, span: Bounds) -> str:
    return ""


def _not_identity(node: Node, graph: Graph) -> bool:
    return False


def _same_attrs(node: Node, factor: Array) -> Node:
    return node


def _uncut(node: Node, shape: Shape, inputs: Array | None, outputs: Array | None) -> Node:
    return node


def _joins_all(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    return "it joins all frames"


def _any_fracs(node: Node, fracs: Mapping[str, int], kind: str) -> Iterable[tuple[str, int]]:
    return ()


@dataclass(frozen=True)
class OpSpec:
    """One operator.

    ``onnx``: ONNX operator types that become it (documentation for ``mcuq ops``).
    ``infer(node, input_shapes)``: the output's shape (batch 1).
    ``run_float(node, inputs)``: torch, differentiable, any batch; None for integer-only operators.
    ``to_int(node, graph, acts, weights)``: the integer node; ``acts`` maps the names of the node's
    activations (inputs and output) to QTensors; ``weights`` may map a weight's name to integers
    chosen by a quantization step, which replace the default rounding.
    ``run_int(node, qgraph, inputs)``: numpy, exact, any batch: the specification of the C kernel.
    ``limits``: checks whose docstring is the user's sentence.
    ``macs(node, qgraph)``: multiply-accumulates of one inference.

    Constants:
    ``weights``: of a layer, a product with a bias in 32 bits; where its channels and taps lie.
    ``sums(node, x, weights, snap)``: of such a layer, what is added up before the bias.
    ``sections(node, inputs)``: of a recurrent layer, whose second and third inputs are matrices of
    as many rows, the vectors that these meet inside of it.
    ``per_channel``: the inputs that hold one trained constant for each output channel.

    Values:
    ``values``, ``flow``: see there.
    ``bounds(node)``: no value of the output lies outside, whatever the input.
    ``keeps_sign(node)``: without negative values in the inputs there are none in the output.
    ``fuse_clip(node, bounds)``: the node that limits its output as well; None if it cannot.
    ``is_identity(node, graph)``: it changes nothing, if the output's shape is that of the input.
    ``affine(index, constant)``: ``(scale, shift)`` with which the other operand goes on if operand
    ``index`` is a ``constant`` with one value per channel; None if it is no such function.
    ``padding``: see there.
    ``whole``: its values are whole numbers.
    ``classifies``: it makes classes or their shares of logits: errors are measured before it.

    Numbers:
    ``keeps_scale``: all its activations have one frac and zero.
    ``joins``: its inputs lie beside each other in the output.
    ``output``: the format that it dictates for its output.
    ``runs_s16``: it has a form whose activations are s16.
    ``narrows``: it always reads s16, and writes either width.
    ``refuses(node, span)``: why it cannot compute with values that span so much, "" if it can.
    ``frac_limits(node, fracs, kind)``: the finest frac of each activation, given those of the
    others, for which 32 bits suffice; a layer's follow from its weights.
    ``inside(node, inputs)``: attributes that say how large values become that only live inside of
    it, over the rows of ``inputs``; calibration sets them, None if there are none.
    ``unseen(node, inputs)``: below which value of its first input nothing of it shows in the output
    for these rows; None: everything shows.
    ``floors(floor, spans)``: the same of each input, if nothing of the output shows below ``floor``
    and the inputs span so much; None: everything shows.

    Changes of scale and offset:
    ``scaling``: see there.
    ``rescaled(node, factor)``: the node whose output has ``factor`` (one, or one per channel) times
    the size; where scaling is absorbed: whose input has. The attribute ``clip`` is seen to already.
    ``carried(node, of_input, of_output, offset)``: of a function of one value that becomes a table,
    the node whose input and output are so many times less, ``offset`` added to the input; None: it
    is no such function.
    ``offsets``: how often a constant added to each input appears in the output, if nothing clips.

    Pruning:
    ``moved(node, inputs, outside)``: any integers, moved as the operator moves its inputs, and
    ``outside`` where none of them comes; None if it does more than that.
    ``along``: see ``Along``; by default every row may hang on all.
    ``keeps(node, shapes)``: the shape of the s16 state that it takes as a last input in a stream,
    and gives, as it is after the step, in front of the rows of axis 1 of its output; None: none.
    ``cut(node, shape, inputs, outputs)``: its attributes for an output of ``shape``; the kept
    indices of the channels of the first input and of the output, None if they do not lie last.

    ``reads_indices``: its first input holds row numbers of the constant that is its second.

    ``schema``: what its nodes hold (``validate``).
    """

    name: str
    onnx: tuple[str, ...]
    infer: Infer
    run_float: RunFloat | None = None
    to_int: ToInt | None = None
    run_int: RunInt | None = None
    limits: tuple[Limit, ...] = ()
    macs: Callable[[Node, Sequence[Shape], Shape], int] = lambda node, inputs, output: 0
    note: str = ""

    weights: Layout | None = None
    sums: Sums | None = None
    sections: Sections | None = None
    per_channel: tuple[int, ...] = ()

    values: Values = Values.NEW
    flow: Flow = Flow.TIED
    bounds: Callable[[Node], Bounds] = fused_clip
    keeps_sign: Callable[[Node], bool] = never
    fuse_clip: FuseClip | None = None
    is_identity: Callable[[Node, Graph], bool] = _not_identity
    affine: Callable[[int, Array], tuple[Array, Array]] | None = None
    padding: Padding = Padding.NONE
    whole: bool = False
    classifies: bool = False

    keeps_scale: bool = False
    joins: bool = False
    output: Format | None = None
    runs_s16: bool = False
    narrows: bool = False
    refuses: Callable[[Node, Bounds], str] = _takes_all
    frac_limits: Callable[[Node, Mapping[str, int], str], Iterable[tuple[str, int]]] = _any_fracs
    inside: Inside | None = None
    unseen: Unseen | None = None
    floors: Callable[[float, Sequence[Bounds]], Sequence[float]] | None = None

    scaling: Scaling = Scaling.NONE
    rescaled: Callable[[Node, Array], Node] = _same_attrs
    carried: Callable[[Node, float, float, float], Node] | None = None
    offsets: tuple[int, ...] = ()

    along: AlongAxis = _joins_all
    keeps: Callable[[Node, Sequence[Shape]], Shape] | None = None
    moved: Moved | None = None
    cut: Callable[[Node, Shape, Array | None, Array | None], Node] = _uncut

    reads_indices: bool = False

    schema: Schema = Schema()

    @property
    def gives_indices(self) -> bool:
        """Whether the output holds indices, not reals."""
        return self.output is not None and self.output.kind == "s32"
