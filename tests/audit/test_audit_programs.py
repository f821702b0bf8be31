"""Two training programs with the mistakes of real ones, and each is found at its line."""

import json
import os
import subprocess
import sys

import pytest

from nnx_state._outcome import RefusedError
from nnx_state.audit.settings import Settings
from nnx_state.audit.verbs import check

VISION = """\
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
from flax import nnx


class Encoder(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)  # the averages
        self.drop = nnx.Dropout(0.1, rngs=rngs)  # the stream

    def __call__(self, x):
        return self.drop(nnx.relu(self.norm(self.conv(x)))).mean((1, 2))


class Classifier(nnx.Module):
    def __init__(self, rngs):
        self.encoder = Encoder(rngs)
        self.classifier = nnx.Linear(4, 10, rngs=rngs)

    def __call__(self, x):
        return self.classifier(self.encoder(x))


def build():
    return Classifier(nnx.Rngs(0, dropout=1))


def example():
    return (jnp.ones((2, 8, 8, 3)),)


def make_optimizer(model):
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 10, 100)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule))
    return nnx.Optimizer(model, tx, wrt=nnx.PathContains("clasifier"))  # a letter is missing


def mended_optimizer(model):
    return nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.PathContains("classifier"))


def save(model, path):
    checkpointer = ocp.StandardCheckpointer()
    checkpointer.save(f"{path}/params", nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    checkpointer.wait_until_finished()


def restore(model, path):
    params = nnx.state(model, nnx.Param)
    pure = ocp.StandardCheckpointer().restore(f"{path}/params", nnx.to_pure_dict(params))
    nnx.replace_by_pure_dict(params, pure)
    nnx.update(model, params)


def save_all(model, optimizer, path):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(f"{path}/all", nnx.state({"model": model, "optimizer": optimizer}))


def restore_all(model, optimizer, path):
    with ocp.StandardCheckpointer() as checkpointer:
        state = checkpointer.restore(f"{path}/all", nnx.state({"model": model, "optimizer": optimizer}))
    nnx.update({"model": model, "optimizer": optimizer}, state)
"""
LANGUAGE = """\
import jax.numpy as jnp
import optax
from flax import nnx


class Block(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
        self.mlp = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        return x + self.mlp(self.attention(self.norm(x)))


class Language(nnx.Module):
    def __init__(self, size, rngs):
        self.embed = nnx.Embed(size, 4, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(2)])
        self.head = nnx.Linear(4, size, rngs=rngs)
        self.tokens = nnx.Param(jnp.array(0.0))  # how many were seen

    def __call__(self, tokens):
        self.tokens[...] += tokens.size
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def build():
    return Language(11, nnx.Rngs(0))


def example():
    return (jnp.arange(6).reshape(2, 3),)


def make_optimizer(model):
    return nnx.Optimizer(
        model,
        optax.adamw(1e-2),
        wrt=nnx.Param,  # the gradient is of less
    )


def resumed_optimizer():
    return nnx.Optimizer(Language(12, nnx.Rngs(0)), optax.adam(1e-2), wrt=nnx.Param)


heads = nnx.PathContains("head")
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "vision.py").write_text(VISION)
    (tmp_path / "language.py").write_text(LANGUAGE)

    def audited(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "nnx_state", "audit", *arguments, "--format", "json"],
            cwd=tmp_path,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return [(one["rule"], one["path"], one["line"]) for one in json.loads(done.stdout)["findings"]]

    return audited


def line(source, text):
    return next(number for number, one in enumerate(source.splitlines(), 1) if text in one)


def test_the_mistakes_of_a_classifier(run):
    averages, stream = line(VISION, "the averages"), line(VISION, "the stream")
    own = "--save", "vision.py:save", "--restore", "vision.py:restore"
    assert run("vision.py:build", "--inputs", "vision.py:example", "--optimizer", "vision.py:make_optimizer", *own) == [
        ("save-forgets", "encoder.norm.mean", averages),
        ("save-forgets", "encoder.norm.var", averages),
        ("save-forgets", "encoder.drop.rngs.count", stream),
        ("save-forgets", "optimizer.wrt", line(VISION, "a letter is missing")),
        ("wrt-matches-nothing", "optimizer.wrt", line(VISION, "a letter is missing")),
    ]
    whole = "--save", "vision.py:save_all", "--restore", "vision.py:restore_all"
    assert run("vision.py:build", "--optimizer", "vision.py:mended_optimizer", *whole) == []


def test_the_mistakes_of_a_language_model(run):
    counter, filtered = line(LANGUAGE, "how many were seen"), line(LANGUAGE, "the gradient is of less")
    trained = "--optimizer", "language.py:make_optimizer", "--gradients", "language.py:heads"
    assert run("language.py:build", "--inputs", "language.py:example", *trained) == [
        ("written-param", "tokens", counter),
        ("wrt-differs", "optimizer.wrt", filtered),
    ]
    resumed = "--optimizer", "language.py:resumed_optimizer"
    assert run("language.py:build", *resumed) == [("foreign-optimizer", "optimizer.wrt", None)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"optimizer": "vision.py:nothing"}, r"vision\.py has no nothing"),
        ({"optimizer": "vision.py:build"}, r"optimizer must be an nnx\.Optimizer"),
        ({"optimizer": "vision.py:save"}, "optimizer could not be made of the model: TypeError"),
        ({"save": "vision.py:save"}, "save and restore must be two functions"),
        ({"gradients": "flax.nnx:Param"}, "none was given: add optimizer="),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_message(tmp_path, arguments, said, monkeypatch):
    (tmp_path / "vision.py").write_text(VISION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "vision", raising=False)
    with pytest.raises(RefusedError, match=said):
        check(Settings(target="vision.py:build", **arguments), "text", update=False)
    sys.modules.pop("vision", None)
