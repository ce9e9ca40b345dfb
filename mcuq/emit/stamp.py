"""What ties the files of a folder together, so that two versions of mcuq can share an image.

A kernel's symbol ends with a digest of its C and of every header that this reads: equal kernels of
two models are one, different ones stand side by side. Every header defines its own digest, and
whoever includes it compares: a header of another version ends the compilation. Before every
function stands MCUQ_FAST_CODE, by which a program says where it lies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePath

LICENCE = "SPDX-License-Identifier: Apache-2.0"

_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
# The beginning of a function's definition.
_FUNCTION = re.compile(
    r"^(?=(?:MCUQ_NAKED )?(?:static|void) [^;={}]*\([^;={}]*\)\s*\{)", re.MULTILINE
)
_INCLUDES = re.compile(r'(?:^#include "[^"]+".*\n)+', re.MULTILINE)


def includes(text: str) -> tuple[str, ...]:
    r"""The names of the project's own headers that a C text includes, sorted.

    >>> includes('#include <stdint.h>\n#include "b.h"\n#include "a.h"\n')
    ('a.h', 'b.h')
    """
    return tuple(sorted(set(_INCLUDE.findall(text))))


def digests(texts: Mapping[str, str]) -> dict[str, str]:
    """8 hexadecimal digits per file name, for its text and for all that it includes.

    >>> one, other = (digests({"a.c": '#include "b.h"', "b.h": text}) for text in ("1", "2"))
    >>> one["a.c"] == other["a.c"]
    False
    """
    found = {}
    for name in texts:
        state = hashlib.sha256()
        for part in (name, *sorted(_reached(name, texts) - {name})):
            state.update(f"{part}\0{texts[part]}\0".encode())
        found[name] = state.hexdigest()[:8]
    return found


def stamped(texts: Mapping[str, str]) -> dict[str, str]:
    """The kernels' C files and headers by name, as they are shipped."""
    known = digests(texts)
    return {name: _stamped(name, text, known) for name, text in texts.items()}


def renamed(symbol: str, known: Mapping[str, str]) -> str:
    """The line that gives a kernel its own symbol, where it is defined and where it is called."""
    return f"#define {symbol} {symbol}_{known[f'{symbol}.c']}"


def checks(names: tuple[str, ...], known: Mapping[str, str]) -> tuple[str, ...]:
    """The lines that compare the headers ``names``, where these were included, with ``known``."""
    return tuple(line for name in names for line in _check(name, known[name]))


def _stamped(name: str, text: str, known: Mapping[str, str]) -> str:
    licence = f"/* {LICENCE} */\n"
    body = _INCLUDES.sub(lambda block: _checked(block[0], known), text)
    body = _FUNCTION.sub("MCUQ_FAST_CODE\n", body)
    if name.endswith(".c"):
        return f"{licence}{renamed(PurePath(name).stem, known)}\n\n{body}"
    return f"{licence}{body}\n#define {_macro(name)} 0x{known[name]}\n"


def _checked(block: str, known: Mapping[str, str]) -> str:
    """Lines that include, and the comparisons behind them: under the same conditions."""
    return "\n".join((block.rstrip("\n"), *checks(includes(block), known), ""))


def _check(name: str, digest: str) -> tuple[str, ...]:
    return (
        f"#if {_macro(name)} != 0x{digest}",
        f'#error "{name} is of another version of mcuq: leave every model its own kernels folder"',
        "#endif",
    )


def _macro(name: str) -> str:
    return f"{re.sub(r'[^A-Z0-9]', '_', name.upper())}_DIGEST"


def _reached(name: str, texts: Mapping[str, str]) -> set[str]:
    """``name`` and all that it includes, directly or not."""
    found: set[str] = set()
    pending = [name]
    while pending:
        part = pending.pop()
        if part not in found:
            found.add(part)
            pending += includes(texts[part])
    return found
