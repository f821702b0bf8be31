"""Sequences: what `nnx.RNN`, the caches of attention and `nnx.RoPE` keep between calls."""

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import add, leaves, names, read
from nnx_state.claims.registry import claim, differs, expect, need_keyword, raises, warns, works

SEE = "lessons/caches.md#see"
FULL = "lessons/caches.md#the-cache-is-full"
ROOM = "lessons/caches.md#there-is-no-cache-or-no-room"
SCAN = "lessons/vmap-scan.md#see"
TYPES = "lessons/own-types.md#see"
MASKS = "lessons/randomness.md#see"
LENGTH = 4


def steps() -> Any:
    """Return one sequence of four steps, each of two numbers."""
    return jax.random.normal(jax.random.key(0), (1, LENGTH, 2))


def recurrent() -> Any:
    """Return an RNN of a simple cell of two inputs and three features."""
    return nnx.RNN(nnx.SimpleCell(2, 3, rngs=nnx.Rngs(0)))


def attention(**keywords: Any) -> Any:
    """Return attention of two heads to sequences of width 4."""
    return nnx.MultiHeadAttention(num_heads=2, in_features=4, rngs=nnx.Rngs(0), **keywords)


def tokens(batch: int = 1) -> Any:
    """Return sequences of four tokens of width 4."""
    return jax.random.normal(jax.random.key(1), (batch, LENGTH, 4))


def decoded(**keywords: Any) -> Any:
    """Return what attention gives, token by token."""
    model = attention(decode=True)
    model.init_cache(tokens().shape)
    call: Any = nnx.jit(lambda model, x: model(x, **keywords))  # compiled, it is quick
    return jnp.concatenate([call(model, tokens()[:, n : n + 1]) for n in range(LENGTH)], axis=1)


def attended(model: Any, **keywords: Any) -> Any:
    """Return what attention gives for the tokens as a whole."""
    call: Any = nnx.jit(lambda model, x: model(x, **keywords))
    return call(model, tokens())


def rope() -> Any:
    """Return an `nnx.RoPE` with tables for eight tokens."""
    make: Any = getattr(nnx, "RoPE")  # noqa: B009 - older releases have none
    return make(embedding_size=2, max_seq_len=8)


def with_rope() -> Any:
    """Return attention that holds an `nnx.RoPE` with tables in a partial function."""
    turning: Any = getattr(nnx, "dot_product_attention_with_rope")  # noqa: B009 - older releases have none
    turned = functools.partial(turning, rope=rope())
    return attention(decode=False, attention_fn=turned)


@claim(
    "rnn-keeps-no-carry",
    "A call of `nnx.RNN` keeps no carry: a second call with the same sequence gives the same outputs.",
    SCAN,
)
def rnn_keeps_no_carry() -> None:
    model = recurrent()
    carry, first = model(steps(), return_carry=True)
    expect(bool((model(steps()) == first).all()), True)
    expect(bool((model(steps(), initial_carry=carry) == first).all()), False)


@claim(
    "rnn-goes-on-from-a-carry",
    "Two halves of a sequence, the first one's carry as `initial_carry`, give what `nnx.RNN` gives for the whole.",
    SCAN,
)
def rnn_goes_on_from_a_carry() -> None:
    model, half = recurrent(), LENGTH // 2
    carry, first = model(steps()[:, :half], return_carry=True)
    second = model(steps()[:, half:], initial_carry=carry)
    expect(bool(jnp.allclose(jnp.concatenate([first, second], axis=1), model(steps()), atol=1e-5)), True)


@claim(
    "rnn-stops-the-carry-at-a-length",
    "With `seq_lengths`, the carry that `nnx.RNN` returns is that of the last step within the length.",
    SCAN,
)
def rnn_stops_the_carry_at_a_length() -> None:
    model = recurrent()
    carry, _ = model(steps(), seq_lengths=jnp.array([2]), return_carry=True)
    short, _ = model(steps()[:, :2], return_carry=True)
    whole, _ = model(steps(), return_carry=True)
    expect([bool(jnp.allclose(carry, other, atol=1e-5)) for other in (short, whole)], [True, False])


@claim(
    "rnn-counts-each-step",
    "A Variable that the cell of an `nnx.RNN` counts in counts each step of the sequence.",
    "lessons/vmap-scan.md#counts-that-are-lost",
)
def rnn_counts_each_step() -> None:
    class Counting(nnx.SimpleCell):  # made here, since an older release has no cells
        count: Any

        def __call__(self, carry: Any, inputs: Any) -> Any:
            add(self.count, 1)
            return super().__call__(carry, inputs)

    cell: Any = Counting(2, 3, rngs=nnx.Rngs(0))
    cell.count = nnx.Variable(jnp.zeros((), jnp.int32))
    works(lambda: nnx.RNN(cell)(steps()))
    expect(int(read(cell.count)), LENGTH)


@claim(
    "rnn-has-the-state-of-its-cell",
    "`nnx.state` of an `nnx.RNN` holds the leaves of its cell, and no others.",
    TYPES,
)
def rnn_has_the_state_of_its_cell() -> None:
    model = recurrent()
    of_its_cell = [f"cell.{name}" for name in names(model.cell)]
    expect(len(of_its_cell), 3)
    expect([name for name in names(model) if name not in of_its_cell], [])


@claim(
    "decoding-is-causal",
    "Attention that decodes token by token gives what it gives for the whole sequence under a causal mask.",
    SEE,
)
def decoding_is_causal() -> None:
    model = attention(decode=False)
    one_by_one = decoded()
    wholes = attended(model, mask=nnx.make_causal_mask(jnp.ones((1, LENGTH)))), attended(model)
    expect([bool(jnp.allclose(one_by_one, whole, atol=1e-4)) for whole in wholes], [True, False])


@claim(
    "decoding-ignores-is-causal",
    "In decode mode a call of `nnx.MultiHeadAttention` with `is_causal=True` gives what it gives without.",
    SEE,
    "an issue of Flax",
)
def decoding_ignores_is_causal() -> None:
    need_keyword(nnx.MultiHeadAttention.__call__, "is_causal")
    plain = decoded()
    causal = works(lambda: decoded(is_causal=True))
    same = jnp.isclose(causal, plain, atol=1e-4).all(axis=(0, 2))
    expect(same.tolist(), [True] * LENGTH)


@claim(
    "cache-index-counts-tokens",
    "`cache_index` of `nnx.MultiHeadAttention` counts the tokens decoded, and `init_cache` sets it back to 0.",
    SEE,
)
def cache_index_counts_tokens() -> None:
    model = attention(decode=True)
    counts = []
    for decodes in (2, 0):
        model.init_cache(tokens().shape)
        for n in range(decodes):
            model(tokens()[:, n : n + 1])
        counts.append(int(read(model.cache_index)))
    expect(counts, [2, 0])


@claim(
    "cache-refuses-another-batch",
    "In decode mode `nnx.MultiHeadAttention` refuses a batch of another size than the cache with a ValueError.",
    ROOM,
)
def cache_refuses_another_batch() -> None:
    model = attention(decode=True)
    model.init_cache(tokens().shape)
    raises(lambda: model(tokens(2)[:, :1]), ValueError, "Autoregressive cache shape error, expected")


@claim(
    "decoding-writes-the-cache-alone",
    "A call in decode mode writes to the three Caches of `nnx.MultiHeadAttention`, and to no Param.",
    SEE,
)
def decoding_writes_the_cache_alone() -> None:
    model = attention(decode=True)
    model.init_cache(tokens().shape)
    before = {path: jnp.array(read(leaf)) for path, leaf in leaves(model).items()}
    model(tokens()[:, :1])
    written = sorted(path for path, leaf in leaves(model).items() if bool((read(leaf) != before[path]).any()))
    expect(written, ["cache_index", "cached_key", "cached_value"])


@claim(
    "attention-refuses-a-rate",
    "`nnx.dot_product_attention` with a `dropout_rate` of 1.5 raises a ValueError.",
    MASKS,
)
def attention_refuses_a_rate() -> None:
    heads = jnp.ones((1, LENGTH, 2, 4))
    call: Any = functools.partial(nnx.dot_product_attention, heads, heads, heads, dropout_rng=jax.random.key(0))
    raises(lambda: call(dropout_rate=1.5), ValueError, "dropout_rate must be in the range [0, 1)")


@claim(
    "attention-asks-for-a-key",
    "`nnx.dot_product_attention` that drops without a `dropout_rng` raises a ValueError that asks for one.",
    MASKS,
)
def attention_asks_for_a_key() -> None:
    heads = jnp.ones((1, LENGTH, 2, 4))
    call: Any = functools.partial(nnx.dot_product_attention, heads, heads, heads, dropout_rate=0.5)
    raises(lambda: call(deterministic=False), ValueError, "dropout_rng is required when dropout_rate > 0")


@claim(
    "rope-tables-are-variables",
    "The tables of an `nnx.RoPE` with a length are Variables of its state, and no Params.",
    "lessons/counters.md#see",
)
def rope_tables_are_variables() -> None:
    model = rope()
    expect([names(model), names(nnx.state(model, nnx.Param))], [["cached_cos", "cached_sin"], []])


@claim(
    "rope-in-a-partial-is-no-state",
    "The tables of an `nnx.RoPE` that attention holds in a `functools.partial` are in the state of the attention.",
    "lessons/containers.md#a-layer-that-nobody-trains",
)
def rope_in_a_partial_is_no_state() -> None:
    model = with_rope()
    if not any("cached" in path for path in names(model)):
        differs(f"its state holds {sorted({path.partition('.')[0] for path in names(model)})}")


@claim(
    "rope-turns-the-heads",
    "Attention with an `nnx.RoPE` in its `attention_fn` gives another output than attention without.",
    SEE,
)
def rope_turns_the_heads() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it reads `.value`
        turned = attended(with_rope())
    expect(bool(jnp.allclose(turned, attended(attention(decode=False)), atol=1e-4)), False)


@claim(
    "rope-reads-value",
    "A call of `nnx.RoPE` with tables gives a DeprecationWarning: it reads `.value`.",
    "pitfalls.md#value-read",
)
def rope_reads_value() -> None:
    model = rope()
    warns(lambda: model(jnp.ones((3, 2))), DeprecationWarning, "'.value' access is now deprecated")
