"""A hand-written model of two steps, as small as a generated one can be, for tests of the tools."""

from __future__ import annotations

from mcuq.emit.entry import Argument, Entry, StepInfo
from mcuq.files import assets

LENGTH = 8
ENTRY = Entry(
    "tiny",
    LENGTH,
    (Argument("in_x", LENGTH),),
    (Argument("out_y", LENGTH),),
    (StepInfo("copy", LENGTH), StepInfo("affine", LENGTH)),
)
HEADER = """\
#include <stdint.h>
void tiny_run(int8_t *arena, const int8_t *in_x, int8_t *out_y);
"""
MODEL = """\
#include <string.h>
#include "tiny.h"
#include "mcuq_trace.h"
#include "mcuq_affine.h"
void tiny_run(int8_t *arena, const int8_t *in_x, int8_t *out_y)
{
    memcpy(arena, in_x, 8);
    MCUQ_TRACE_STEP(0, arena, 8);
    mcuq_affine(arena, out_y, 8);
    MCUQ_TRACE_STEP(1, out_y, 8);
}
"""
KERNEL_HEADER = """\
#include <stdint.h>
void mcuq_affine(const int8_t *in, int8_t *out, int length);
"""
KERNEL = """\
#include "mcuq_affine.h"
static const int8_t table[4] = {1, 2, 3, 4};
void mcuq_affine(const int8_t *in, int8_t *out, int length)
{
    for (int i = 0; i < length; i++) {
        out[i] = (int8_t)(2 * in[i] + table[i & 3] / (i + 1));
    }
}
"""
FILES = {
    "tiny.h": HEADER,
    "tiny.c": MODEL,
    "kernels/mcuq_affine.h": KERNEL_HEADER,
    "kernels/mcuq_affine.c": KERNEL,
    **{
        f"kernels/{name}": assets.kernel_files()[name].read_text()
        for name in ("mcuq_target.h", "mcuq_trace.h")
    },
    "README.md": "not compiled",
}


def with_kernel(body: str, header: str = "#include <string.h>") -> dict[str, str]:
    """The model with another body of ``mcuq_affine(in, out, length)``."""
    start = f'{header}\n#include "mcuq_affine.h"\n'
    signature = "void mcuq_affine(const int8_t *in, int8_t *out, int length)"
    return {**FILES, "kernels/mcuq_affine.c": f"{start}{signature}\n{{\n{body}\n}}\n"}


def affine(vector: bytes) -> bytes:
    """What the model makes of its input.

    C's division of the positive table entries is floor division.
    """
    return bytes((2 * x + (i % 4 + 1) // (i + 1)) & 255 for i, x in enumerate(vector))
