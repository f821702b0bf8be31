"""Run the command line: `python -m nnx_state`, or `nnx-state`."""

import signal

# The imports below take a moment, in which Ctrl-C ends the process as it ends any other: without a traceback.
_interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _interruptible:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> None:
    """Run the command line, and let Ctrl-C raise an exception meanwhile, so that what was begun is put in order."""
    from nnx_state import cli

    if _interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
