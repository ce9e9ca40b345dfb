"""What the templates print of inputs and outputs: macros, declarations, what integers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcuq.emit import order
from mcuq.emit.c_text import CTYPES, fill, string
from mcuq.emit.naming import comment, identifiers
from mcuq.ir import Port
from mcuq.qir import QTensor


@dataclass(frozen=True)
class PortFacts:
    """An input or output of the generated function. ``c_name``: in_x, out_y.

    ``labels``: the lines of the initializer that names what lies along the last axis, if known.
    ``order``: where the elements of the model's own lie, if in another order; ``places``: the
    initializer of the table that it names, if it does.
    """

    c_name: str
    macro: str
    ctype: str
    length: int
    bytes: int
    text: str
    order: str
    places: tuple[str, ...]
    conversion: str
    scale: float | None
    offset: float | None
    values: tuple[tuple[float, float], ...]
    range: tuple[int, int]
    declaration: str
    shape: tuple[int, ...]
    numbers: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]


def port_facts(
    ports: tuple[Port, ...], side: str, model_id: str, tensors: Mapping[str, QTensor]
) -> tuple[PortFacts, ...]:
    """The facts of the inputs (``side`` in) or outputs (out) of a model."""
    names = identifiers(p.name for p in ports)
    return tuple(
        _port(p, f"{side}_{names[p.name]}", side, model_id, tensors[p.tensor]) for p in ports
    )


def _port(port: Port, c_name: str, side: str, model_id: str, tensor: QTensor) -> PortFacts:
    macro = f"{model_id}_{c_name}".upper()
    ctype = CTYPES[tensor.kind]
    values = tuple(zip(port.scale, port.offset, strict=True))
    single = values[0] if len(values) == 1 else None
    return PortFacts(
        c_name=c_name,
        macro=macro,
        ctype=ctype,
        length=tensor.size,
        bytes=tensor.bytes,
        text=f"'{comment(port.name)}' {order.memory_text(port, tensor)}",
        order=f"{c_name}{text}" if (text := order.sentence(port, f"{macro}_ORDER")) else "",
        places=_places(port) if order.needs_table(port) else (),
        conversion=_conversion(values, side),
        scale=single[0] if single else None,
        offset=single[1] if single else None,
        values=values,
        range=tensor.range,
        shape=tensor.shape,
        numbers=_numbers_of(values),
        labels=tuple(fill((f"{string(label)}," for label in port.labels), 88)),
        declaration=f"{'const ' if side == 'in' else ''}{ctype} {c_name}[{macro}_LEN]",
    )


def _numbers_of(values: tuple[tuple[float, float], ...]) -> tuple[tuple[str, str], ...]:
    """The macros that say what an integer means, real = (q - zero) * scale; per channel, lists."""
    if not values:
        return ()
    scales, zeros = [f"{scale:.9e}f" for scale, _ in values], [_zero(zero) for _, zero in values]
    if len(values) == 1:
        return ("SCALE", scales[0]), ("ZERO", zeros[0])
    return ("SCALES", f"{{{', '.join(scales)}}}"), ("ZEROS", f"{{{', '.join(zeros)}}}")


def _zero(value: float) -> str:
    """An integer constant of C if it is whole, else one of type float; in brackets if negative.

    >>> _zero(-128.0), _zero(127.5)
    ('(-128)', '1.275000000e+02f')
    """
    text = str(int(value)) if float(value).is_integer() else f"{value:.9e}f"
    return f"({text})" if text.startswith("-") else text


def _places(port: Port) -> tuple[str, ...]:
    """The place of each element of the model's own, in lines of C."""
    places = () if port.order is None else port.order.tolist()
    return tuple(fill((f"{place}," for place in places), 88))


def _conversion(values: tuple[tuple[float, float], ...], side: str) -> str:
    """The sentence that says what the integers mean."""
    if not values:
        return "integers as they are"
    if len(values) > 1:
        return "real = (q - offset[c]) * scale[c] per channel; see the table in README.md"
    scale, offset = values[0]
    if side == "in":
        shift = f" {'-' if offset < 0 else '+'} {abs(offset):.9g}" if offset else ""
        return f"q = round(real * {1 / scale:.9g}{shift}), saturated"
    shifted = f"(q {'+' if offset < 0 else '-'} {abs(offset):.9g})" if offset else "q"
    return f"real = {shifted} * {scale:.9g}"
