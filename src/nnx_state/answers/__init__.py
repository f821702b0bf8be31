"""Answers: from a pasted traceback, or a symptom in words, to the entry of the pitfalls that explains it.

Nothing here imports JAX, so that an answer costs no more than the text that was pasted.
"""

from nnx_state.answers.hook import install as install
from nnx_state.answers.matcher import Answer as Answer
from nnx_state.answers.matcher import answer as answer
