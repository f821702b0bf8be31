"""Where `nnx-state` starts: from here on, Ctrl-C ends the imports as it ends any other process, without a traceback.

It stands beside the package, because Python runs the package before any module in it, and that takes a moment already.
"""

import _signal as signal  # type: ignore[import-not-found] # what `signal` is made of, without the modules it imports

INTERRUPTIBLE = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # and not ignored, as by nohup
if INTERRUPTIBLE:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> None:
    """Run the command line."""
    from nnx_state.__main__ import main as run

    run()
