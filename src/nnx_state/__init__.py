"""The State of NNX: what happens to a value in a Flax NNX module, and the code that the lessons teach."""
