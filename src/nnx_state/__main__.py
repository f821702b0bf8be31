"""Run the command line: `python -m nnx_state`, or `nnx-state`."""

import signal
import sys

from nnx_state_start import INTERRUPTIBLE


def main() -> None:
    """Run the command line, and let Ctrl-C raise an exception meanwhile, so that what was begun is put in order."""
    from nnx_state import cli

    try:
        if INTERRUPTIBLE:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main()
    except KeyboardInterrupt:  # in the moments before and after what the command line catches by itself
        sys.exit(cli.INTERRUPTED)
    finally:
        if INTERRUPTIBLE:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python has still to end


if __name__ == "__main__":
    main()
