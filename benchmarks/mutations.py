"""Changed bytes, texts, trees, archives, arrays and messages: one mutation from one generator."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx

Chance = np.random.Generator
NASTY: tuple[Any, ...] = (
    None, True, -1, 0, 1, 7, 128, 65536, 2**31, -(2**63), 2**63, 2**70, 0.5, 1e300, float("nan"),
    float("inf"), "", "x", "n" * 300, "a\0b", "[/b]", "../x", "/x", "line\nline", "\u202e", [], {},
    [0], [[]], ["x"], {"x": 1}, [1, 2, 3, 4],
)  # fmt: skip
TOKENS = (
    "true", "-1", "0", "1e300", "nan", "inf", "-inf", "0x" + "f" * 40, "9" * 30, "9" * 5000, '""',
    '"[/b]"', '"a\\u0000b"', '"' + "n" * 300 + '"', "[]", "[[1]]", "{}", "1979-05-27", '"../x"',
    '["-fplugin=x"]', '["-wrapper"]', '["-mthumb", "-S"]', '["-O2"]', '"s8"', "1.5",
    "2", "[" * 2000,
)  # fmt: skip


def pick(chance: Chance, options: Any) -> Any:
    return options[int(chance.integers(len(options)))]


def bytes_changed(content: bytes, chance: Chance) -> bytes:
    """Some bytes flipped, cut off, doubled or put in."""
    data = bytearray(content)
    for _ in range(int(chance.integers(1, 4))):
        at = int(chance.integers(max(1, len(data))))
        match int(chance.integers(5)):
            case 0 if data:
                data[at % len(data)] = int(chance.integers(256))
            case 1:
                del data[at:]
            case 2:
                del data[at : at + int(chance.integers(1, 9))]
            case 3:
                data[at:at] = data[at : at + int(chance.integers(1, 40))]
            case _:
                data[at:at] = bytes(chance.integers(0, 256, 4).astype(np.uint8))
    return bytes(data)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything in a tree of JSON."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (dict, list)):
            for key in item if isinstance(item, dict) else range(len(item)):
                yield item, key
                waiting.append(item[key])


def tree_changed(tree: Any, chance: Chance) -> Any:
    """A value replaced, left out, doubled, or taken from another place."""
    holder = [tree]
    places = list(_places(holder))
    item, key = pick(chance, places)
    other, there = pick(chance, places)
    match int(chance.integers(5)):
        case 0 if item is not holder:
            del item[key]
        case 1 if isinstance(item, list) and item is not holder:
            item.append(item[key])
        case 2 if item is not holder and other is not holder:
            item[key] = json.loads(json.dumps(other[there]))
        case _:
            item[key] = pick(chance, NASTY)
    return holder[0]


def json_changed(content: bytes, chance: Chance) -> bytes:
    if chance.random() < 0.2:
        return bytes_changed(content, chance)
    return json.dumps(tree_changed(json.loads(content), chance)).encode()


def toml_changed(content: bytes, chance: Chance) -> bytes:
    """A value, a line or some bytes changed."""
    lines = content.decode().splitlines()
    at = int(chance.integers(len(lines)))
    match int(chance.integers(6)):
        case 0:
            return bytes_changed(content, chance)
        case 1:
            del lines[at]
        case 2:
            lines.insert(at, pick(chance, lines))
        case _:
            key, equals, _ = lines[at].partition("=")
            lines[at] = f"{key}={pick(chance, TOKENS)}" if equals else f"[{pick(chance, TOKENS)}]"
    return "\n".join(lines).encode()


def zip_changed(
    content: bytes, chance: Chance, changes: dict[str, Callable[[bytes, Chance], bytes]]
) -> bytes:
    """One member changed by the function for its name's ending (else bytes), or the whole file."""
    if chance.random() < 0.15:
        return bytes_changed(content, chance)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    liked = [n for n in members if n.endswith(tuple(changes))]
    name = pick(chance, liked if chance.random() < 0.8 else list(members))
    change = next((c for ending, c in changes.items() if name.endswith(ending)), bytes_changed)
    members[name] = change(members[name], chance)
    if chance.random() < 0.05:
        del members[name]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for key, data in members.items():
            archive.writestr(key, data)
    return stream.getvalue()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_changed(content: bytes, chance: Chance) -> bytes:
    """An array of another type, shape or other values, or with changed bytes."""
    array = np.load(io.BytesIO(content))
    match int(chance.integers(6)):
        case 0:
            return bytes_changed(content, chance)
        case 1:
            kinds = ("f8", "i1", "u1", "i4", "c8", "U3", "O", "?", ">f4", "M8[s]", "f2", "V3")
            kind = pick(chance, kinds)
            return _npy(np.zeros(array.shape, kind) if kind == "V3" else array.astype(kind))
        case 2:
            return _npy(array.reshape(-1)[: int(chance.integers(array.size + 1))])
        case 3:
            return _npy(array[None] if chance.random() < 0.5 else array[..., None])
        case 4:
            values = np.array(array)
            values.reshape(-1)[:1] = pick(chance, (0, 1, 100, -100))
            return _npy(values)
        case _:
            values = array.astype(np.float64)
            values.reshape(-1)[:1] = pick(chance, (np.nan, np.inf, 1e300, -1e38))
            return _npy(values)


def facts_changed(content: bytes, chance: Chance) -> bytes:
    """The JSON in an array of bytes, as a bundle has it."""
    text = json_changed(np.load(io.BytesIO(content)).tobytes(), chance)
    return _npy(np.frombuffer(text, np.uint8))


def _messages(message: Any) -> Iterator[Any]:
    """All messages of a protobuf, the outer ones first."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in value if hasattr(value, "append") or hasattr(value, "add") else [value]:
                yield from _messages(part)


def proto_changed(content: bytes, chance: Chance) -> bytes:
    """A field of some message set, emptied, doubled or shortened, or bytes changed."""
    if chance.random() < 0.25:
        return bytes_changed(content, chance)
    proto = onnx.load_model_from_string(content)
    message = pick(chance, list(_messages(proto)))
    fields = message.DESCRIPTOR.fields
    field = pick(chance, list(fields))
    with contextlib.suppress(ValueError, TypeError, AttributeError, IndexError, OverflowError):
        _set_field(message, field, chance)
    return bytes(proto.SerializeToString())


def _set_field(message: Any, field: Any, chance: Chance) -> None:
    value = getattr(message, field.name)
    repeated = hasattr(value, "append") or hasattr(value, "add")
    if chance.random() < 0.2:
        message.ClearField(field.name)
    elif repeated and chance.random() < 0.5 and len(value):
        del value[int(chance.integers(len(value)))]
    elif field.type == field.TYPE_MESSAGE:
        if repeated:
            value.add()
        else:
            value.SetInParent()
    else:
        new = _scalar(field, chance)
        if repeated and len(value) and chance.random() < 0.7:
            value[int(chance.integers(len(value)))] = new
        elif repeated:
            value.append(new)
        else:
            setattr(message, field.name, new)


TEXTS = ("", "x", "n" * 5000, "a\0b", "../x", "Gather", "LSTM", "com.x", "\u202e")


def _scalar(field: Any, chance: Chance) -> Any:
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        text = pick(chance, TEXTS)
        return text.encode() if field.type == field.TYPE_BYTES else text
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return pick(chance, (0.0, -1.0, 1e38, float("nan"), float("inf")))
    return pick(chance, (-1, 0, 1, 2, 3, 5, 7, 8, 10, 16, 100, 65536, 2**31 - 1, -(2**31), 2**62))


def tflite_changed(content: bytes, chance: Chance) -> bytes:
    """Numbers of the tables set to nasty ones, or bytes changed: tables lie before the weights."""
    if chance.random() < 0.3:
        return bytes_changed(content, chance)
    data = bytearray(content)
    for _ in range(int(chance.integers(1, 4))):
        at = 4 * int(chance.integers(len(data) // 4))
        number = pick(chance, (0, 1, 2, 3, 4, 7, 127, 255, 65536, -1, -2, 2**31 - 1, -(2**31)))
        data[at : at + 4] = int(number).to_bytes(4, "little", signed=True)
    return bytes(data)
