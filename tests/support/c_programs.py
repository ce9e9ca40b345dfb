"""Generated files on disk, compilers run on them, and small main programs around them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcuq.emit.entry import Entry

STRICT = "-std=c99 -O2 -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Werror".split()
GUARD = 64

# In guarded blocks of exactly its size each: the arena and all buffers, then one run per vector
# of standard input. Exit code 9 says that a guard was overwritten, or an input.
_GUARDED = """
typedef struct {{ uint8_t *bytes, *kept; size_t size; }} {id}_block;
static {id}_block {id}_blocks[{count}] = {{
{sizes}
}};
static int {id}_vector(void)
{{
    {id}_block *b = {id}_blocks;
    for (int i = 0; i < {count}; i++) {{
        if (b[i].bytes == NULL) {{
            b[i].bytes = aligned_alloc(16, (2 * {guard} + b[i].size + 15) / 16 * 16);
            b[i].kept = malloc(b[i].size + 1);
        }}
        memset(b[i].bytes, 0xA5, 2 * {guard} + b[i].size);
        if (i >= 1 && i <= {inputs}) {{
            if (fread(b[i].bytes + {guard}, 1, b[i].size, stdin) != b[i].size) {{
                return 0;
            }}
            memcpy(b[i].kept, b[i].bytes + {guard}, b[i].size);
        }}
    }}
    {id}_run({arguments});
    for (int i = 0; i < {count}; i++) {{
        for (size_t k = 0; k < {guard}; k++) {{
            if (b[i].bytes[k] != 0xA5 || b[i].bytes[{guard} + b[i].size + k] != 0xA5) {{
                exit(9);
            }}
        }}
        if (i >= 1 && i <= {inputs} && memcmp(b[i].kept, b[i].bytes + {guard}, b[i].size) != 0) {{
            exit(9);
        }}
        if (i > {inputs}) {{
            fwrite(b[i].bytes + {guard}, 1, b[i].size, stdout);
        }}
    }}
    return 1;
}}
"""


def write(files: Mapping[str, str], folder: Path) -> Path:
    """The files below ``folder``."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def sources(files: Mapping[str, str]) -> list[str]:
    """The C files by path."""
    return sorted(name for name in files if name.endswith(".c"))


def run(
    command: Sequence[str | Path], folder: Path, stdin: bytes = b"", seconds: int = 120
) -> bytes:
    """What a program that must succeed prints."""
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, timeout=seconds)
    text = (done.stdout[-2000:] + done.stderr[-4000:]).decode(errors="replace")
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {text}"
    return done.stdout


def guarded_main(entries: Sequence[Entry]) -> str:
    """A main program: per vector of standard input, the models one after the other, and their
    outputs to standard output.
    """
    headers = ["stdint.h", "stdio.h", "stdlib.h", "string.h"]
    lines = [f"#include <{header}>" for header in headers]
    lines += [f'#include "{entry.id}.h"' for entry in entries]
    lines += [_guarded(entry) for entry in entries]
    calls = " && ".join(f"{entry.id}_vector()" for entry in entries)
    return "\n".join([*lines, f"int main(void)\n{{\n    while ({calls}) {{}}\n    return 0;\n}}\n"])


def _guarded(entry: Entry) -> str:
    buffers = [entry.arena, *(b.bytes for b in (*entry.inputs, *entry.outputs))]
    count = len(buffers)
    return _GUARDED.format(
        id=entry.id,
        count=count,
        inputs=len(entry.inputs),
        guard=GUARD,
        sizes="\n".join(f"    {{NULL, NULL, {size}}}," for size in buffers),
        arguments=", ".join(f"(void *)(b[{i}].bytes + {GUARD})" for i in range(count)),
    )
