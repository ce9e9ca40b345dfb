"""``python -m mcuq`` and the ``mcuq`` command: run the CLI, show faults in one line each."""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback
from typing import NoReturn

from mcuq.errors import McuqError

_OUR_BUG = 70
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def main() -> None:
    """Run the command line; exit 1: the user's fault, 2: usage, 70: ours."""
    from mcuq.cli import cli

    try:
        cli()
    except McuqError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            _bug()
        place = error.filename or tempfile.gettempdir()
        print(f"{place}: cannot be written ({error.strerror}). Free some space.", file=sys.stderr)
        sys.exit(1)
    except Exception:
        _bug()


def _bug() -> NoReturn:
    traceback.print_exc()
    print("This is a bug in mcuq; please report it with the lines above.", file=sys.stderr)
    sys.exit(_OUR_BUG)


if __name__ == "__main__":
    main()
