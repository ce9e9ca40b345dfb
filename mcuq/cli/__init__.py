"""The command line: a thin face over the Python API, and the only place that prints."""

from __future__ import annotations

import click

from mcuq.capacity import MAX_ELEMENTS, allowing
from mcuq.cli.compress import compress
from mcuq.cli.explain import explain
from mcuq.cli.export import export
from mcuq.cli.gates import diff, sbom, verify
from mcuq.cli.look import boards, doctor, estimate, inspect, ops
from mcuq.cli.make import build, compile_, retarget
from mcuq.cli.measure import bench, check, evaluate, run
from mcuq.cli.report import report
from mcuq.cli.sign import sign
from mcuq.version import __version__

# The character \b keeps click from filling the lines that follow.
_HELP = """PyTorch and ONNX networks to bit-exact int8 C for microcontrollers.

\b
mcuq inspect model.onnx                          what is in it, what is unsupported
mcuq estimate model.onnx --all                   which boards it fits, without any data
mcuq compile model.onnx --calib data.npz -o out  quantize and write C
mcuq check out --all                             compare every tensor on every core
"""

_EPILOG = """Completion of commands, options and boards, in the shell's own file:

\b
bash  eval "$(_MCUQ_COMPLETE=bash_source mcuq)"
zsh   eval "$(_MCUQ_COMPLETE=zsh_source mcuq)"
fish  _MCUQ_COMPLETE=fish_source mcuq | source
"""


@click.group(
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mcuq")
@click.option(
    "--max-elements",
    type=click.IntRange(1),
    metavar="N",
    help=f"How many elements all tensors of a network may have. Default: {MAX_ELEMENTS}.",
)
@click.pass_context
def cli(context: click.Context, max_elements: int | None) -> None:
    """Everything that ``mcuq`` does is one of its commands."""
    if max_elements is not None:
        context.with_resource(allowing(max_elements))


for command in (
    *(inspect, estimate, compress, compile_, retarget, check, bench, evaluate, explain, build, run),
    *(export, report, verify, diff, sbom, sign, boards, ops, doctor),
):
    cli.add_command(command)
