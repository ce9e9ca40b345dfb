"""A bill of materials of a compiled folder, as CycloneDX 1.6 JSON: what went into it, with hashes.

It holds no date and no path, and its serial number is made of its own content: the same folder
gives the same bytes anywhere.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from mcuq.ir import Array
from mcuq.model import bundle
from mcuq.model.bundle import Bundle
from mcuq.model.report import Report
from mcuq.schema import finite
from mcuq.version import __version__

KERNELS = "kernels"
_LICENSE = [{"license": {"id": "Apache-2.0"}}]


def sbom(
    made: Bundle,
    files: Mapping[str, str],
    report: Report,
    apart: Mapping[str, bytes] | None = None,
) -> bytes:
    """The bill of the folder that holds ``files``, the texts by path, and the bundle ``made``.

    ``apart``: files that are no text, such as the weights.

    The model is made of its source, of the vectors that stand for the calibration data (the first
    rows, in integers), of the generated files and of the kernels.
    """
    contents = {name: text.encode() for name, text in files.items()} | dict(apart or {})
    parts = [_source(made), _vectors(made.vectors), *_files(contents)]
    body = {
        "metadata": {"tools": {"components": [_tool()]}, "component": _model(made, report)},
        "components": parts,
        "dependencies": [{"ref": "model", "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    content = json.dumps(body, sort_keys=True)
    facts = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, content).urn,
        "version": 1,
        **body,
    }
    return (json.dumps(facts, indent=2) + "\n").encode()


def _tool() -> dict[str, Any]:
    return {
        "type": "application", "name": "mcuq", "version": __version__, "licenses": _LICENSE,
    }  # fmt: skip


def _model(made: Bundle, report: Report) -> dict[str, Any]:
    """The compiled model, with the options that it was made with."""
    quantization = report.quantization
    options = {
        "board": made.board.name if made.board else None,
        "core": report.core,
        "prefer": made.prefer,
        "effort": quantization.effort if quantization else None,
        "calibration_rows": quantization.calibration_rows if quantization else None,
        "compressed": made.whole is not None,
    }
    properties = [
        {"name": f"mcuq:{name}", "value": json.dumps(finite(value)).strip('"')}
        for name, value in options.items()
        if value is not None
    ]
    return {
        "type": "firmware", "bom-ref": "model", "name": made.id,
        "hashes": _hashes(bundle.dump(made)), "properties": properties,
    }  # fmt: skip


def _source(made: Bundle) -> dict[str, Any]:
    return {
        "type": "machine-learning-model", "bom-ref": "source", "name": made.source,
        "hashes": [{"alg": "SHA-256", "content": made.digest}],
    }  # fmt: skip


def _vectors(vectors: Mapping[str, Array]) -> dict[str, Any]:
    content = hashlib.sha256()
    for name, rows in sorted(vectors.items()):
        little = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<"))
        content.update(f"{name}\0{little.dtype.str}\0{little.shape}\0".encode())
        content.update(little.tobytes())
    return {
        "type": "data", "bom-ref": "vectors", "name": "calibration vectors",
        "hashes": [{"alg": "SHA-256", "content": content.hexdigest()}],
    }  # fmt: skip


def _files(files: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    """The generated files, and the kernels as parts of mcuq's own library."""
    for name, content in sorted(files.items()):
        kernel = PurePath(name).parts[0] == KERNELS
        part = {
            "type": "file", "bom-ref": f"file:{name}", "name": name,
            "hashes": _hashes(content),
        }  # fmt: skip
        yield {**part, "version": __version__, "licenses": _LICENSE} if kernel else part


def _hashes(content: bytes) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]
