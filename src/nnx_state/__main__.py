"""Run the command line: `python -m nnx_state`."""

from nnx_state.cli import main

if __name__ == "__main__":
    main()
