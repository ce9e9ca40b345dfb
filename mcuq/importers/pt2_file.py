"""Makes a ``.pt2`` archive safe to load: what torch would unpickle, import or evaluate is refused.

``torch.export.load`` unpickles some weights, all legacy weights and custom objects, resolves
operator names to any attribute of torch, evaluates size expressions and loads shared libraries.
Here the archive is checked and packed anew with plain tensors, ATen operators, the quantization of
PT2E and sizes only.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mcuq.errors import ModelError
from mcuq.schema import Misfit, Record, record, several, whole

MAX_BYTES = 1 << 29
_KEPT = (
    r"models/model\.json",
    r"data/weights/(weight_\d+|model_weights_config\.json)",
    r"data/constants/(tensor_\d+|model_constants_config\.json)",
    r"data/sample_inputs/model\.pt",
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id)",
)
_MEMBER = re.compile("|".join(f"(?:{kept})" for kept in _KEPT))
_PAYLOAD = re.compile(r"(weight|tensor)_\d+")
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.[a-z0-9_]+\.[A-Za-z0-9_]+"
    r"|torch\.ops\.quantized_decomposed\.(de)?quantize_per_(tensor|channel)\.(default|tensor2?)"
    r"|_operator\.(getitem|add|sub|mul|floordiv|neg|eq|ne|le|lt|ge|gt)"
)
_SIZE = re.compile(
    r"(?:Symbol\('[su]\d{1,6}'(?:, (?:positive|nonnegative|integer)=(?:True|False))*\)"
    r"|(?:Integer|Mul|Add)\(|, |[su]\d{1,6}|\d{1,9}|[-+()/ ]|\*(?!\*))+"
)
_TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict")
_SAVE_AGAIN = "Save it again with torch.export.save"
# How torch.export numbers types and layouts (torch/_export/serde/schema.py).
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 12: 1, 13: 2, 28: 2}
_STRIDED = 7
_REFUSED_KEYS = ("as_operator", "as_custom_obj", "as_graph")


def checked(path: Path) -> bytes:
    """The archive in ``path``, checked and packed anew."""
    name = path.name
    if not path.is_file():
        other = "is no regular file" if path.exists() else "no such file"
        raise ModelError(name, "is a folder" if path.is_dir() else other, "Check the path")
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(name, "is larger than 512 MB", "Use a smaller network")
    with path.open("rb") as stream:
        members = _read(stream, name)
    _check_payloads(members, name)
    _check_sample(members, name)
    members["models/model.json"] = _clean_program(members, name)
    return _packed(members)


def _read(stream: BinaryIO, name: str) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(stream) as archive:
            return _members(archive, name)
    except ModelError:
        raise
    except Exception as error:  # zipfile and zlib raise many kinds: the file is at fault
        remedy = "Save it again with torch.export.save"
        raise ModelError(name, "is not a .pt2 archive, or is truncated", remedy) from error


def _refused(name: str, what: str) -> ModelError:
    remedy = "Export it to ONNX where it was made: torch.onnx.export(program, f='model.onnx')"
    return ModelError(name, f"holds {what}, which cannot be read without running its code", remedy)


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    """The files of the archive without its root folder; anything executable is refused."""
    files = {}
    total = 0
    for info in archive.infolist():
        inner = info.filename.partition("/")[2]
        if not _MEMBER.fullmatch(inner):
            if inner.startswith(("data/aotinductor/", "data/weights/", "data/constants/")):
                raise _refused(name, f"'{inner}'")
            continue
        total += info.file_size
        if total > MAX_BYTES:
            raise ModelError(name, "unpacks to more than 512 MB", "Use a smaller network")
        with archive.open(info) as stream:  # read() of all would unpack whatever is there first
            files[inner] = stream.read(info.file_size + 1)
        if len(files[inner]) > info.file_size:
            raise zipfile.BadZipFile(f"'{inner}' is larger than stated")
    if "models/model.json" not in files:
        reason = "is not an archive of torch.export.save, or one of an old version"
        raise ModelError(name, reason, "Save the program again with a current torch")
    return files


def _parsed(members: dict[str, bytes], key: str, name: str) -> Any:
    try:
        return json.loads(members[key])
    except (KeyError, ValueError, RecursionError) as error:
        reason = f"'{key}' is missing or damaged"
        raise ModelError(name, reason, "Save it again with torch.export.save") from error


def _check_payloads(members: dict[str, bytes], name: str) -> None:
    """Every weight and constant must be plain bytes, as many as its shape asks for."""
    for folder in ("weights", "constants"):
        key = f"data/{folder}/model_{folder}_config.json"
        table = _parsed(members, key, name)
        config = table.get("config") if isinstance(table, dict) else None
        for entry in config.values() if isinstance(config, dict) else [None]:
            if not isinstance(entry, dict) or entry.get("use_pickle") is not False:
                raise _refused(name, "pickled tensors")
            if not _PAYLOAD.fullmatch(str(entry.get("path_name"))):
                raise _refused(name, f"the object '{entry.get('path_name')}'")
            _check_length(members, f"data/{folder}/{entry['path_name']}", entry, name)


def _check_length(members: dict[str, bytes], key: str, entry: dict[str, Any], name: str) -> None:
    """A payload must hold all that its tensor reads: torch would fill what is missing with 0."""
    try:
        wanted = _bytes(entry.get("tensor_meta"), key)
    except ValueError as error:
        raise ModelError(name, f"is damaged ({error})", _SAVE_AGAIN) from error
    found = len(members[key]) if key in members else 0
    if found < wanted or not wanted:
        reason = f"'{key}' holds {found} bytes where its tensor has {wanted}"
        raise ModelError(name, reason, _SAVE_AGAIN)


def _bytes(value: object, place: str) -> int:
    """The bytes from the start of its storage to the last element of a dense tensor."""
    if not isinstance(value, dict):
        raise Misfit(place, "the description of a tensor", value)
    meta = Record(value, place)
    sizes = meta.read("sizes", several(_size, 0, 16))
    strides = meta.read("strides", several(_size, len(sizes), len(sizes)))
    if meta.read("layout", whole(0, 64)) != _STRIDED:
        raise Misfit(f"{place}.layout", "that of a dense tensor", value["layout"])
    dtype = meta.read("dtype", whole(0, 64))
    if dtype not in _ITEM_BYTES:
        raise Misfit(f"{place}.dtype", "a numeric type", dtype)
    last = sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    count = meta.read("storage_offset", _size) + last + 1 if math.prod(sizes) else 0
    return count * _ITEM_BYTES[dtype]


def _size(value: object, place: str) -> int:
    """A size that is stated as a number."""
    return record(value, place, ("as_int",)).read("as_int", whole(0, MAX_BYTES))


def _check_sample(members: dict[str, bytes], name: str) -> None:
    """The stored example must be plain tensors: torch would unpickle anything else."""
    import torch

    content = members.get("data/sample_inputs/model.pt", b"")
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # whatever is in there, it is not plain tensors
        raise _refused(name, "example inputs that are not plain tensors") from error


def _clean_program(members: dict[str, bytes], name: str) -> bytes:
    """The program without what is only for debugging; refused if torch would evaluate more."""
    program = _parsed(members, "models/model.json", name)
    for table in _tables(program):
        if "metadata" in table:
            table["metadata"] = {}
        if "guards_code" in table:
            table["guards_code"] = []
        _check_table(table, name)
    return json.dumps(program).encode()


def _check_table(table: dict[str, Any], name: str) -> None:
    if "target" in table and "inputs" in table:
        target = str(table["target"])
        if not _OPERATOR.fullmatch(target):
            raise _refused(name, f"the operator '{target}'")
    if "expr_str" in table and not _SIZE.fullmatch(str(table["expr_str"])):
        raise _refused(name, f"the size '{table['expr_str']}'")
    for key in _REFUSED_KEYS:
        if key in table:
            raise _refused(name, f"an argument {key}")
    for key in ("in_spec", "out_spec"):
        if table.get(key):
            _check_tree(str(table[key]), name)


def _check_tree(text: str, name: str) -> None:
    """Inputs and outputs may be nested in tuples, lists and dicts only."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(name, "inputs in an unknown structure") from error
    for table in _tables(tree):
        if "type" in table and table["type"] not in _TREES:
            raise _refused(name, f"inputs in the structure '{table['type']}'")


def _tables(tree: Any) -> Iterator[dict[str, Any]]:
    """Every dict in a tree of JSON, the outer ones first."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for key, content in members.items():
            archive.writestr(f"model/{key}", content)
    return buffer.getvalue()
