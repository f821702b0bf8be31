"""Outputs of layers that are recorded without a trace in the model, and averages that know each example."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nnx_state import Averages, activations, unchanged


@pytest.fixture(autouse=True)
def promotion_of_metrics():
    with jax.numpy_dtype_promotion("standard"):  # a metric adds bools to a float, and divides by an int
        yield


class Net(nnx.Module):
    def __init__(self, rngs):
        self.body = nnx.List([nnx.Linear(3, 3, rngs=rngs) for _ in range(2)])
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.unused = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, x, *, times=1):
        for layer in [*self.body] * times:
            x = layer(x)
        self.sow(nnx.Intermediate, "own", x)
        return self.norm(x)


X = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3)


def build():
    return Net(nnx.Rngs(0))


def paths(model):
    return [path for path, _ in nnx.to_flat_state(nnx.state(model))]


@pytest.mark.parametrize("transform", [lambda call: call, nnx.jit], ids=["plain", "jit"])
def test_the_outputs_of_layers_come_out_and_nothing_stays(transform):
    model, known = build(), build()
    before = paths(model)
    y, found = transform(lambda model, x: activations(model, nnx.Linear, x))(model, X)
    first = known.body[0](X)
    second = known.body[1](first)
    assert {path: len(outputs) for path, outputs in found.items()} == {"body.0": 1, "body.1": 1, "unused": 0}
    np.testing.assert_allclose(found["body.0"][0], first, rtol=1e-5)
    np.testing.assert_allclose(found["body.1"][0], second, rtol=1e-5)
    np.testing.assert_allclose(y, known.norm(second), rtol=1e-4, atol=1e-5)
    assert paths(model) == before
    assert len(unchanged(model, known, nnx.Param)) == len(nnx.to_flat_state(nnx.state(known, nnx.Param)))
    np.testing.assert_allclose(model.norm.mean[...], known.norm.mean[...], rtol=1e-5)


def test_a_layer_that_is_called_twice_has_two_outputs_in_their_order():
    model = build()
    _, found = activations(model, nnx.PathContains("body"), X, times=2)
    assert {path: len(outputs) for path, outputs in found.items()} == {"body.0": 2, "body.1": 2}
    np.testing.assert_allclose(found["body.0"][1], model.body[0](found["body.1"][0]), rtol=1e-5)


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        (nnx.BatchNorm, ["norm"]),
        (nnx.PathContains("unused"), ["unused"]),
        (..., ["body.0", "body.1", "norm", "unused"]),
        (lambda path, layer: path[-1] == 1, ["body.1"]),
    ],
)
def test_a_filter_chooses_layers_by_class_or_path_and_never_the_model(chosen, wanted):
    _, found = activations(build(), chosen, X)
    assert sorted(found) == wanted


def test_a_call_that_raises_leaves_the_model_as_it_was():
    model = build()
    before = paths(model)
    with pytest.raises(TypeError, match="contracting dimensions"):
        activations(model, nnx.Linear, jnp.ones((4, 5)))
    assert paths(model) == before
    assert not any(hasattr(layer, "__captures__") for _, layer in nnx.iter_modules(model))
    with pytest.warns(DeprecationWarning, match="sow"):  # it sows into the model again, and not out of sight
        model(X)
    assert nnx.pop(model, nnx.Intermediate)["own"]


def test_what_an_interrupt_leaves_is_taken_out_too():
    model = build()

    class Interrupted(nnx.Module):
        def __call__(self, x):
            raise KeyboardInterrupt

    model.norm = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        activations(model, nnx.Linear, X)
    assert not any(hasattr(layer, "__captures__") for _, layer in nnx.iter_modules(model))


def test_a_table_that_was_made_before_does_no_harm():
    """`nnx.tabulate` leaves copies of inherited methods in the classes, which `nnx.capture` alone would wrap."""

    class Layer(nnx.Linear):
        def __call__(self, inputs, out_sharding=None):
            return super().__call__(inputs)

    model = nnx.Sequential(Layer(3, 2, rngs=nnx.Rngs(0)))
    nnx.tabulate(model, X)
    assert "sow" in vars(Layer)
    _, found = activations(model, Layer, X)
    assert found["layers.0"][0].shape == (4, 2)
    assert "sow" not in vars(Layer)


def test_a_filter_that_matches_no_layer_is_refused():
    with pytest.raises(ValueError, match=r"matches none: Net has body\.0, body\.1, norm, unused\.$"):
        activations(build(), nnx.PathContains("head"), X)
    with pytest.raises(ValueError, match=r"matches none: Linear has no layer\.$"):
        activations(nnx.Linear(3, 3, rngs=nnx.Rngs(0)), nnx.Linear, X)


def test_a_layer_that_inherits_its_call_is_refused_where_it_is_chosen():
    class Inherits(nnx.Linear):
        pass

    model = build()
    model.unused = Inherits(3, 3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"Inherits at unused inherits it"):
        activations(model, nnx.Linear, X)
    _, found = activations(model, nnx.BatchNorm, X)
    assert list(found) == ["norm"]


def test_the_layers_of_a_scan_have_stacked_outputs():
    class Deep(nnx.Module):
        def __init__(self, rngs):
            self.blocks = nnx.split_rngs(splits=5)(nnx.vmap(lambda rngs: nnx.Linear(3, 3, rngs=rngs)))(rngs)

        def __call__(self, x):
            scan = nnx.scan(lambda x, block: block(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
            return scan(x, self.blocks)

    y, found = activations(Deep(nnx.Rngs(0)), nnx.Linear, X)
    (outputs,) = found["blocks"]
    assert outputs.shape == (5, 4, 3)
    np.testing.assert_allclose(outputs[-1], y, rtol=1e-5)


@pytest.mark.parametrize("transform", [lambda call: call, nnx.jit], ids=["plain", "jit"])
def test_averages_weigh_each_example_alike(transform):
    averages = Averages("loss", "right")

    def update(averages, losses, right):
        averages.update(loss=losses, right=right)

    run = transform(update)
    run(averages, jnp.array([1.0, 1.0, 1.0]), jnp.array([True, True, False]))
    run(averages, jnp.array([5.0]), jnp.array([True]))
    assert averages.take() == {"loss": 2.0, "right": 0.75}
    assert all(type(leaf) is nnx.metrics.MetricState for _, leaf in nnx.to_flat_state(nnx.state(averages)))


def test_what_is_taken_is_gone():
    averages = Averages("loss")
    averages.update(loss=jnp.array([8.0]))
    taken = averages.take()
    assert taken == {"loss": 8.0}
    assert type(taken["loss"]) is float
    assert math.isnan(averages.take()["loss"])
    averages.update(loss=jnp.array([2.0]))
    assert averages.take() == {"loss": 2.0}


def test_what_was_filled_in_does_not_count():
    averages = Averages("loss")
    averages.update(loss=jnp.array([1.0, 3.0, 100.0]), mask=jnp.array([True, True, False]))
    assert averages.take() == {"loss": 2.0}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"loss": X[0]}, "must get loss, right, got loss: pass each name"),
        ({"loss": X[0], "right": X[0], "rihgt": X[0]}, "got loss, right, rihgt"),
        ({}, "got nothing"),
        ({"loss": jnp.array(1.0), "right": X[0]}, "loss must hold a number for each example"),
        ({"loss": X[0], "right": 0.5}, "right must hold a number for each example"),
    ],
)
def test_an_update_that_would_average_something_else_is_refused(values, said):
    averages = Averages("loss", "right")
    with pytest.raises(ValueError, match=said):
        averages.update(**values)
    assert averages.loss.count[...] == 0


@pytest.mark.parametrize("name", ["update", "take", "split", "compute"])
def test_a_name_of_a_method_is_refused(name):
    with pytest.raises(ValueError, match=f"must not be that of a method, got {name}"):
        Averages("loss", name)


def test_both_work_in_tree_mode():
    with nnx.set_graph_mode(False), nnx.set_graph_updates(False):
        model, averages = build(), Averages("loss")

        @nnx.jit
        def step(model, averages, x):
            y, found = activations(model, nnx.Linear, x)
            averages.update(loss=y.mean(axis=1))
            return found

        before = paths(model)
        found = step(model, averages, X)
        assert sorted(found) == ["body.0", "body.1", "unused"]
        assert averages.loss.count[...] == 4
        assert paths(model) == before
