"""Names of the model -> C identifiers and harmless C comments. Nothing reaches C any other way."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mcuq.errors import McuqError
from mcuq.ir import unique_name

_MAX = 40

# Keywords of C and C++ (headers get included there), names of <stdint.h> and <string.h>.
RESERVED = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while asm bool catch class delete explicit export false friend mutable
    namespace new operator private protected public template this throw true try typeid typename
    using virtual and bitand bitor compl not or xor nullptr constexpr decltype noexcept alignas
    alignof thread_local static_assert concept requires main memcpy memset memmove errno arena
    int8_t uint8_t int16_t uint16_t int32_t uint32_t int64_t uint64_t size_t intptr_t uintptr_t
    """.split()
)

# Headers that <stdint.h>, <string.h> or a core's intrinsics may include: the header of a model
# called like one of them would be found in its place.
HEADERS = frozenset(
    """
    assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign
    stdarg stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string strings
    tgmath threads time uchar unistd wchar wctype alloca features ieeefp newlib picolibc reent
    """.split()
)


def identifier(name: str, fallback: str = "x") -> str:
    """A C identifier that resembles ``name``: lower case, letters, digits and single underscores.

    >>> identifier("/conv1/Conv_output_0")
    'conv1_conv_output_0'
    >>> identifier("int"), identifier("2nd"), identifier('*/"')
    ('int_', 'x2nd', 'x')
    """
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    word = word[-_MAX:].strip("_") or fallback
    word = fallback + word if word[0].isdigit() else word
    return word + "_" if word in RESERVED else word


def identifiers(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A different identifier for each name, none of them in ``taken``.

    >>> identifiers(["a.b", "a_b", "a b"])
    {'a.b': 'a_b', 'a_b': 'a_b_2', 'a b': 'a_b_3'}
    """
    used = set(taken)
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        found[name] = unique_name(used, identifier(name))
        used.add(found[name])
    return found


def comment(text: str) -> str:
    r"""``text`` for use inside a C comment: printable ASCII, nothing that opens or ends one.

    >>> comment("a*/b\n??/")
    'a* /b\\n? ?/'
    """
    plain = "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)
    for pair in ("*/", "/*", "??", "//"):
        while pair in plain:
            plain = plain.replace(pair, f"{pair[0]} {pair[1]}")
    return plain.rstrip("\\") if plain.endswith("\\") else plain


def model_id(name: str) -> str:
    """The identifier of a model made from a file name.

    >>> model_id("KWS v2"), model_id("string"), model_id("mcuq_conv2d")
    ('kws_v2', 'model_string', 'model_mcuq_conv2d')
    """
    word = identifier(name, "model")
    return word if _is_free(word) else f"model_{word}"


def _is_free(name: str) -> bool:
    """Whether files and symbols that begin with ``name`` collide with nothing."""
    return name not in RESERVED and name not in HEADERS and not name.startswith("mcuq")


def check_id(name: str) -> str:
    """``name`` if it can prefix C symbols, else ``McuqError``."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) or not _is_free(name):
        raise McuqError(
            f"--name {name}",
            "not usable as a prefix of C names",
            "Use a lower-case letter, then up to 30 letters, digits or underscores, no C word",
        )
    return name
