"""The shapes of a model's inputs: the file's own, given by the user, or those of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mcuq.capacity import excess, remedy
from mcuq.errors import McuqError, ModelError, raise_all
from mcuq.importers.onnx_file import Input, OnnxModel
from mcuq.ir import Shape

_LABELS = ("y", "label", "labels", "target", "targets")
_OPTION = "Say it with --shape {}"


@dataclass(frozen=True)
class Sizes:
    """``given``: shapes by input name, from the user. ``data``: gives the shapes of the arrays of
    the calibration data, which is looked at only if the file leaves a size open.
    """

    given: Mapping[str, Shape] = field(default_factory=dict)
    data: Callable[[], Mapping[str, Shape]] | None = None


@dataclass(frozen=True)
class Chosen:
    """``shapes`` by input name; ``notes`` say what was taken.

    ``symbolic``: the file leaves the first size of an input open, and it is taken as 1. ``opened``:
    those inputs of which nobody says that this 1 is all. ``whole``: the user or the data say that
    a first size above 1 is no batch.
    """

    shapes: dict[str, Shape]
    notes: tuple[str, ...]
    symbolic: bool
    opened: tuple[str, ...]
    whole: bool


def choose(model: OnnxModel, sizes: Sizes) -> Chosen:
    """The shapes of all inputs; refused, naming the option, where one is not known."""
    faults = _unknown_names(model, sizes)
    symbols: dict[str, int] = {}
    shapes: dict[str, Shape] = {}
    notes: list[str] = []
    found = {given.name: _data_shape(model, given, sizes) for given in model.inputs}
    for given in model.inputs:
        try:
            shape, note = _one(model, given, sizes, found[given.name], symbols)
            shapes[given.name] = shape
            notes += [note] if note else []
        except ModelError as error:
            faults.append(error)
    raise_all(faults)
    ones = [i.name for i in model.inputs if _open(i) and shapes[i.name][0] == 1]
    opened = tuple(name for name in ones if name not in sizes.given)
    whole = any(
        sizes.given.get(given.name) == given.dims or found[given.name] == (0, *given.dims)
        for given in model.inputs
    )
    return Chosen(shapes, tuple(notes), bool(ones), opened, whole)


def _open(given: Input) -> bool:
    return bool(given.dims) and isinstance(given.dims[0], str)


def _unknown_names(model: OnnxModel, sizes: Sizes) -> list[McuqError]:
    names = [given.name for given in model.inputs]
    unknown = [
        f"has no input '{name}', named by --shape" for name in sizes.given if name not in names
    ]
    return [ModelError(model.name, reason, f"It has {', '.join(names)}") for reason in unknown]


def _data_shape(model: OnnxModel, given: Input, sizes: Sizes) -> Shape | None:
    """The shape of the data of an input, rows replaced by 0 in front; None if it is not needed."""
    inner_open = any(isinstance(size, str) for size in given.dims[1:])
    fixed_first = not given.dims or given.dims[0] != 1
    if sizes.data is None or given.name in sizes.given or not (inner_open or fixed_first):
        return None
    arrays = sizes.data()
    shape = arrays.get(given.name)
    if shape is None and len(model.inputs) == 1:
        others = [name for name in arrays if name not in _LABELS]
        name = "x" if "x" in arrays else others[0] if len(others) == 1 else None
        shape = None if name is None else arrays[name]
    rows_apart = shape is not None and len(shape) == len(given.dims) + 1
    if shape is None or (len(shape) != len(given.dims) and not rows_apart):
        return None
    return (0, *shape[1:]) if shape else None


def _one(
    model: OnnxModel, given: Input, sizes: Sizes, data: Shape | None, symbols: dict[str, int]
) -> tuple[Shape, str]:
    """The shape of one input, and the line that says where a size is from."""
    where = f"{model.name}: input '{given.name}'"
    wanted = sizes.given.get(given.name)
    source = "as --shape says"
    if wanted is None and data is not None:
        apart = len(data) == len(given.dims) + 1
        wanted = data[1:] if apart else (1, *data[1:])
        source = "as the calibration data has it"
        if not apart and given.dims and isinstance(given.dims[0], int):
            wanted = (given.dims[0], *data[1:])
        if not _fits(given.dims, wanted):
            wanted = None
    if wanted is not None:
        _check_given(given.dims, wanted, where)
        pairs = zip(given.dims, wanted, strict=True)
        symbols.update((dim, size) for dim, size in pairs if isinstance(dim, str) and dim)
    shape = wanted if wanted is not None else _from_file(given, symbols, where)
    if excess(shape):
        raise ModelError(where, excess(shape), remedy())
    only_batch = wanted is not None and (1, *given.dims[1:]) == wanted
    if wanted is None or wanted == given.dims or only_batch:
        return shape, ""
    listed = ",".join(str(size) for size in shape)
    return shape, f"input '{given.name}' is {listed}, {source}"


def _fits(dims: tuple[int | str, ...], shape: Shape) -> bool:
    pairs = zip(dims, shape, strict=False)
    return len(dims) == len(shape) and all(isinstance(d, str) or d == s for d, s in pairs)


def _check_given(dims: tuple[int | str, ...], shape: Shape, where: str) -> None:
    if len(shape) != len(dims):
        reason = f"has {len(dims)} axes, --shape gives {len(shape)}"
        raise ModelError(where, reason, "Give one size for each axis, the batch as 1")
    for axis, (dim, size) in enumerate(zip(dims, shape, strict=True)):
        if isinstance(dim, int) and dim != size:
            reason = f"axis {axis} has the size {dim}, --shape gives {size}"
            raise ModelError(where, reason, "Give the model's own size")
        if size < 1:
            raise ModelError(where, f"axis {axis} gets the size {size}", "Give a size above 0")


def _from_file(given: Input, symbols: Mapping[str, int], where: str) -> Shape:
    """The file's own shape, an open batch as 1."""
    sizes: list[int] = []
    for axis, dim in enumerate(given.dims):
        if isinstance(dim, int):
            sizes.append(dim)
        elif axis and dim not in symbols:
            name = f" '{dim}'" if dim else ""
            option = _OPTION.format(f"{given.name}={_example(given)}")
            raise ModelError(where, f"axis {axis} has the dynamic size{name}", option)
        else:
            sizes.append(symbols[dim] if axis else 1)
    return tuple(sizes)


def _example(given: Input) -> str:
    """What ``--shape`` may look like for an input."""
    first, *rest = given.dims
    sizes = ["SIZE" if isinstance(size, str) else str(size) for size in rest]
    return ",".join([str(first) if isinstance(first, int) else "1", *sizes])
