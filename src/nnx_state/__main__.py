"""Run the command line: `python -m nnx_state`."""

from nnx_state.cli import main

main()
