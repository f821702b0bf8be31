"""How far each leaf moved, and the first module whose output is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nnx_state import MultiParam, changes, first_not_finite, snapshot


class Fragile(nnx.Module):
    """A module that counts its calls, and divides by its Param."""

    def __init__(self):
        self.divisor = nnx.Param(jnp.ones(()))
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        self.calls[...] += 1
        return x / self.divisor


class Net(nnx.Module):
    def __init__(self):
        self.parts = nnx.List([Fragile(), Fragile()])
        self.before = Fragile()

    def __call__(self, x):
        x = self.before(x)
        for part in self.parts:
            x = part(x)
        return x


class Derived(Fragile):
    def __call__(self, x, *, scale=1.0):
        return super().__call__(x) * scale


class Compiled(Fragile):
    @nnx.jit
    def __call__(self, x):
        return super().__call__(x)


def test_each_leaf_has_its_distance_whatever_its_type_and_dtype():
    model = nnx.Dict(
        half=nnx.Param(jnp.zeros(4, jnp.bfloat16)),
        whole=nnx.Variable(jnp.uint32(5)),
        flag=nnx.Variable(jnp.array(False)),
        complex=nnx.Param(jnp.zeros((), jnp.complex64)),
        plain=jnp.ones((2, 2, 2)),
        tree=nnx.Variable(jnp.array([1.0, 2.0])),
        still=nnx.BatchStat(jnp.ones(3)),
    )
    before = snapshot(model)
    model.half[...] = jnp.full(4, 1.5, jnp.bfloat16)
    model.whole[...] = jnp.uint32(2)  # an unsigned difference would be 4294967293
    model.flag[...] = jnp.array(True)
    model.complex[...] = jnp.array(3 + 4j, jnp.complex64)
    model.plain = model.plain + 1.0
    model.tree[...] = jnp.array([jnp.nan, 2.0])
    far = changes(before, model)
    assert list(far) == sorted(far)
    assert np.isnan(far.pop("tree"))
    wanted = {"half": 3.0, "whole": 3.0, "flag": 1.0, "complex": 5.0, "plain": 8**0.5, "still": 0.0}
    assert far == pytest.approx(wanted)


def test_an_infinity_that_stays_is_a_nan_and_warns_of_nothing():
    model = nnx.Dict(bound=nnx.Variable(jnp.array(jnp.inf)))
    assert np.isnan(changes(snapshot(model), model)["bound"])


def test_a_random_stream_moves_by_its_count_and_another_key_is_far():
    model = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    before = snapshot(model)
    model(jnp.ones(3))
    assert changes(before, model) == {"rngs.count": 1.0, "rngs.key": 0.0}
    assert changes(before, snapshot(nnx.Dropout(0.5, rngs=nnx.Rngs(1))))["rngs.key"] > 0


def test_what_is_no_copy_is_refused():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"before must be a copy, got the Variable that after has at bias: take"):
        changes(nnx.state(model), model)
    with pytest.raises(ValueError, match="at bias"):
        changes(model, model)
    assert set(changes(nnx.clone(model), model).values()) == {0.0}


def test_other_paths_and_shapes_are_named():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="the same paths and shapes, they differ at count: copy this model"):
        changes(snapshot(model, nnx.Param), model)
    with pytest.raises(ValueError, match="they differ at bias, kernel"):
        changes(snapshot(MultiParam(4, 1, rngs=nnx.Rngs(0))), model)


def test_what_holds_no_numbers_is_refused():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="got ShapeDtypeStruct at bias"):
        changes(nnx.eval_shape(lambda: MultiParam(4, 2, rngs=nnx.Rngs(0))), model)
    with pytest.raises(TypeError, match=r"must hold numbers, got .*Tracer at bias: call changes outside"):
        nnx.jit(changes)(snapshot(model), model)


@pytest.mark.parametrize(
    ("paths", "first"),
    [(["before"], "before"), (["parts.1"], "parts.1"), (["parts.0", "before"], "before"), ([], None)],
)
def test_the_first_in_the_order_of_the_calls_is_named(paths, first):
    model = Net()
    modules = {".".join(map(str, path)): module for path, module in nnx.iter_modules(model)}
    for path in paths:
        modules[path].divisor[...] = jnp.zeros(())
    assert first_not_finite(model, jnp.ones(2)) == first


def test_the_model_and_its_classes_stay_as_they_are():
    model, own = Net(), (Net.__call__, Fragile.__call__)
    first_not_finite(model, jnp.ones(2))
    assert model.before.calls[...] == 0
    with pytest.raises(TypeError):
        first_not_finite(model, "text")
    assert (Net.__call__, Fragile.__call__) == own
    assert "__call__" in vars(Derived)


def test_a_module_that_inherits_its_call_and_one_that_calls_its_base():
    inherits = type("Inherits", (Fragile,), {})
    assert first_not_finite(inherits(), jnp.full(2, jnp.inf)) == ""
    assert "__call__" not in vars(inherits)
    assert first_not_finite(Derived(), jnp.ones(2), scale=jnp.inf) == ""


def test_outputs_of_any_sort_are_read():
    class Pair(nnx.Module):
        def __call__(self, x):
            return {"name": "pair", "whole": jnp.arange(2), "key": jax.random.key(0), "number": x}, None

    assert first_not_finite(Pair(), 1.0) is None
    assert first_not_finite(Pair(), float("nan")) == ""
    assert first_not_finite(Pair(), np.array([np.inf])) == ""


def test_inside_of_a_transform_the_module_that_calls_it_is_named():
    model = nnx.Sequential(Compiled(), Fragile())
    model.layers[0].divisor[...] = jnp.zeros(())
    assert first_not_finite(model, jnp.ones(2)) == "layers.0"


def test_a_tie_has_the_path_of_its_first_name_in_both_modes():
    model = Net()
    model.again = model.before
    model.before.divisor[...] = jnp.zeros(())
    assert first_not_finite(model, jnp.ones(2)) == "again"
    with nnx.set_graph_mode(False), nnx.set_graph_updates(False):
        assert first_not_finite(model, jnp.ones(2)) == "again"


def test_what_cannot_be_called_or_read_is_refused():
    with pytest.raises(TypeError, match="must be a module that can be called, got Dict: pass"):
        first_not_finite(nnx.Dict(), jnp.ones(2))
    with pytest.raises(TypeError, match="must be a module that can be called, got function"):
        first_not_finite(lambda x: x, jnp.ones(2))
    with pytest.raises(TypeError, match="got a traced one: call first_not_finite outside of transforms"):
        nnx.jit(first_not_finite)(Net(), jnp.ones(2))
