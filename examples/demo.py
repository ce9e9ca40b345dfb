"""The demo: a digits network from ONNX to checked C on several boards, judged on held-out digits.

Run it with ``make demo``. Everything is written to ``build/demo``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mcuq
from mcuq.cli.show import cell, progress, say, table
from mcuq.targets import boards

sys.path.insert(0, str(Path(__file__).parent))
from train_digits import HERE, split

OUT = Path("build/demo")
BOARDS = (
    "raspberry_pi_pico",
    "stm32vldiscovery",
    "nucleo_f446re",
    "nucleo_h743zi",
    "raspberry_pi_pico2",
    "mps3_an547",
    "esp32_c3",
)


def main() -> None:
    """Compile, check and judge on every board; exit 1 if anything differs."""
    train_images, _, images, labels = split()
    say("digits.onnx: 8x8 grey images, trained on scikit-learn's digits (examples/train_digits.py)")
    rows, exact, result = [], True, None
    for name in BOARDS:
        board = boards.load(name)
        with progress(board.title) as report:
            model = mcuq.compile(
                HERE / "digits.onnx", calibration=train_images[:200], board=board, progress=report
            )
            model.write(OUT / name)
            _, verdict = model.check([board], progress=report)
        exact = exact and verdict.exact
        result = result or model.evaluate(images, labels)
        rows.append(
            (
                *(board.title, board.cpu, verdict.flash, verdict.ram, verdict.stack),
                *(verdict.instructions, verdict.tensors, "exact" if verdict.exact else "DIFFERS"),
                *(cell(100 * result.float_top1), cell(100 * result.int8_top1)),
            )
        )
        if verdict.first:
            say(f"{name}: {verdict.first}")
    columns = (
        *("board", "core", "#flash B", "#RAM B", "#stack B"),
        *("#instructions", "#tensors compared", "verdict", "#float %", "#int8 %"),
    )
    table("One inference, every tensor of 20 vectors against the Python reference", columns, rows)
    say(
        f"held-out digits ({result.samples}): float {cell(100 * result.float_top1)} %, "
        f"int8 {cell(100 * result.int8_top1)} %, both agree on {cell(100 * result.agreement)} %, "
        f"logits at {cell(result.sqnr_db)} dB"
    )
    say(f"The C is in {OUT}/BOARD: read {OUT}/{BOARDS[0]}/digits.c, or flash a self-test:")
    say(f"  .venv/bin/mcuq build {OUT}/nucleo_f446re --board nucleo_f446re")
    raise SystemExit(0 if exact else 1)


if __name__ == "__main__":
    main()
