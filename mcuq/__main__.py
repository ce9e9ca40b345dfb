"""``python -m mcuq`` and the ``mcuq`` command: run the CLI, show faults in one line each."""

from __future__ import annotations

import sys
import traceback

from mcuq.errors import McuqError

_OUR_BUG = 70


def main() -> None:
    """Run the command line; exit 1: the user's fault, 2: usage, 70: ours."""
    from mcuq.cli import cli

    try:
        cli()
    except McuqError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        print("This is a bug in mcuq; please report it with the lines above.", file=sys.stderr)
        sys.exit(_OUR_BUG)


if __name__ == "__main__":
    main()
