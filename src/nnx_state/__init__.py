"""The State of NNX: what happens to a value in a Flax NNX module, and the code that the lessons teach.

The public names stand in `__init__.pyi`; each is imported when it is first used, so that the command line starts fast.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
