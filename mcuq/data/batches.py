"""What a notebook has as data, as plain arrays: tensors, lists of samples, loaders of batches.

Tensors of torch are told by their methods: nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np

from mcuq.errors import DataError
from mcuq.ir import Array

Given = str | Path | Array | Mapping[str, object] | Iterable[object]
"""A file, an array or tensor, a list of samples, a loader of batches, or a dict by input name."""

Plain = str | Path | Array | dict[str, Array]

MOST_ROWS = 1024
"""So many rows are taken of what is iterated over, such as a DataLoader, which may never end."""


def gathered(given: Given, thing: str = "calibration") -> Plain:
    """``given`` as a file's name, an array, or a dict of arrays by input name.

    A dict: of what any of the rest stands for. A list or a Dataset: one sample each, or one batch
    each. Anything else that is iterated over, such as a DataLoader, gives batches. Each may be an
    array, a dict of them, or a tuple of inputs and labels, of which the first counts. ``thing``
    names the data in errors.
    """
    if isinstance(given, (str, Path)):
        return given
    if isinstance(given, Mapping):
        return {name: _array(values, f"{thing} '{name}'") for name, values in given.items()}
    if isinstance(given, (list, tuple)) or (_is_dataset(given) and not _is_array(given)):
        samples = [_inputs(given[i]) for i in range(min(len(given), MOST_ROWS))]
        named = bool(samples) and isinstance(samples[0], Mapping)
        return _by_name(samples, thing, batches=False) if named else _array(samples, thing)
    if _is_array(given):
        return _array(given, thing)
    if not isinstance(given, Iterable):
        reason = f"is a {type(given).__name__}, which holds no rows"
        raise DataError(thing, reason, "Give an array, a list of them, a DataLoader or a file")
    batches = list(_batches(given, thing))
    if not batches:
        raise DataError(thing, "gives no batch", "A generator can be read once")
    if isinstance(batches[0], Mapping):
        return _by_name(batches, thing, batches=True)
    return _joined([plain(batch) for batch in batches], thing, batches=True)


def plain(value: object) -> Array:
    """An array of numpy with the values of ``value``, which may be a tensor anywhere."""
    detach = getattr(value, "detach", None)
    if detach is None:
        return np.asarray(value)
    tensor = detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # which numpy does not know
        tensor = tensor.float()
    return np.asarray(tensor.numpy())


def _is_array(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "__array__")


def _is_dataset(value: object) -> TypeGuard[Sequence[object]]:
    """Whether it is a map-style dataset, or anything else that has rows by number."""
    return hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _inputs(sample: object) -> object:
    """A sample or batch without the labels that stand behind the inputs in a tuple."""
    labelled = isinstance(sample, (list, tuple)) and len(sample) > 0
    first = sample[0] if isinstance(sample, (list, tuple)) and labelled else sample
    return first if _is_array(first) or isinstance(first, Mapping) else sample


def _array(values: object, thing: str) -> Array:
    """One array of what one input gets."""
    if isinstance(values, (list, tuple)) and values and all(map(_is_array, values)):
        return _joined([plain(value) for value in values], thing, batches=False)
    try:
        return plain(values)
    except ValueError as error:  # lists of different lengths
        raise DataError(
            thing, "its rows have different shapes", "Give rows of one shape"
        ) from error


def _batches(given: Iterable[object], thing: str) -> Iterator[object]:
    """Batches up to ``MOST_ROWS`` rows: the inputs of each, without labels."""
    rows = 0
    for batch in given:
        inputs = _inputs(batch)
        first = next(iter(inputs.values()), None) if isinstance(inputs, Mapping) else inputs
        if not _is_array(first):
            reason = f"gives batches of {type(first).__name__}"
            raise DataError(thing, reason, "Give tensors, dicts of them, or (inputs, labels)")
        yield inputs
        rows += max(1, len(plain(first)))
        if rows >= MOST_ROWS:
            return


def _by_name(parts: Sequence[object], thing: str, batches: bool) -> dict[str, Array]:
    """Dicts of arrays by input name, joined."""
    tables = [part for part in parts if isinstance(part, Mapping)]
    names = list(tables[0])
    if len(tables) < len(parts) or any(list(part) != names for part in tables):
        raise DataError(thing, "its dicts have different names", "Give every input in each")
    return {
        name: _joined([plain(part[name]) for part in tables], f"{thing} '{name}'", batches)
        for name in names
    }


def _joined(parts: Sequence[Array], thing: str, batches: bool) -> Array:
    """Batches one after the other; samples of one shape as rows of a new first axis."""
    if not batches and len({part.shape for part in parts}) == 1:
        return np.stack(parts)
    if any(part.ndim == 0 or part.shape[1:] != parts[0].shape[1:] for part in parts):
        raise DataError(thing, "its rows have different shapes", "Give rows of one shape")
    return np.concatenate(parts)
