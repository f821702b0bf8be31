"""A state under other names, a load of what fits, and weights of PyTorch, held against its formulas and its layers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from harness.runner import WAITS
from nnx_state import LeftOut, MultiParam, from_torch, load_fitting, named_state, renamed, train_step

DRAW = np.random.default_rng(0)


def draw(*shape):
    return DRAW.normal(size=shape).astype(np.float32)


def paths(state):
    return {".".join(map(str, path)) for path, _ in nnx.to_flat_state(state)}


def two_layers(seed=0):
    rngs = nnx.Rngs(seed)
    return nnx.Sequential(nnx.Linear(3, 4, rngs=rngs), jnp.tanh, nnx.Linear(4, 2, rngs=rngs))


class Net(nnx.Module):
    def __init__(self, seed=0):
        rngs = nnx.Rngs(seed)
        self.body, self.head = nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(self.body(x)))


def test_names_become_paths():
    arrays = {"layers.0.weight": draw(4, 3), "layers.10.bias": draw(4), "scale": jnp.ones(())}
    state = named_state(arrays)
    flat = dict(nnx.to_flat_state(state))
    assert set(flat) == {("layers", 0, "weight"), ("layers", 10, "bias"), ("scale",)}
    assert flat["layers", 0, "weight"] is arrays["layers.0.weight"]
    assert not named_state({})


def test_what_is_no_array_is_refused():
    with pytest.raises(TypeError, match=r"head\.weight must be an array of NumPy or JAX, got a list: .*numpy\(force"):
        named_state({"head.weight": [1.0]})


@pytest.mark.parametrize("names", [("a", "a.b"), ("a.b.c", "a"), ("a.0", "a.00"), ("",)])
def test_names_that_stand_in_each_others_way_are_refused(names):
    with pytest.raises(ValueError, match="must get a path of its own that no other goes on behind, got"):
        named_state({name: draw(1) for name in names})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({}, {"layers.0.bias", "layers.0.kernel", "layers.2.bias", "layers.2.kernel"}),
        ({"layers.0": "body", "layers.2": None}, {"body.bias", "body.kernel"}),
        ({"layers": ""}, {"0.bias", "0.kernel", "2.bias", "2.kernel"}),
        ({"": "model", "layers.2": None}, {"model.layers.0.bias", "model.layers.0.kernel"}),
        ({"layers.0.bias": "zero", "layers": None}, {"zero"}),
    ],
)
def test_the_longest_beginning_of_a_path_is_renamed(names, expected):
    state = nnx.state(two_layers())
    assert paths(renamed(state, names)) == expected
    assert paths(state) == {"layers.0.bias", "layers.0.kernel", "layers.2.bias", "layers.2.kernel"}


def test_leaves_are_moved_and_not_copied():
    model = two_layers()
    state = renamed(nnx.state(model), {"layers.0": "layers.2", "layers.2": "layers.0"})
    assert state["layers"][2]["kernel"] is model.layers[0].kernel
    assert state["layers"][0]["bias"] is model.layers[2].bias


@pytest.mark.parametrize("old", ["layer", "layers.1", "layers.0.kernels", "0", "layers.0.kernel.value"])
def test_a_beginning_that_no_path_has_is_refused(old):
    with pytest.raises(ValueError, match=rf"must begin with '{old}', and none does: the state has layers\. Mend"):
        renamed(nnx.state(two_layers()), {old: "body"})
    with pytest.raises(ValueError, match="the state has no leaf"):
        renamed(nnx.State({}), {old: "body"})


@pytest.mark.parametrize("names", [{"layers.0": "layers.2"}, {"layers.0.bias": "layers.2"}, {"layers.0.bias": ""}])
def test_two_leaves_of_one_path_are_refused(names):
    with pytest.raises(ValueError, match="must get a path of its own"):
        renamed(nnx.state(two_layers()), names)


@pytest.mark.parametrize("names", [{"layers": "", "layers.2": "head"}, {"layers.2": "layers.last"}])
def test_a_place_beside_a_name_is_refused(names):
    with pytest.raises(ValueError, match=r"must be places in a list or names, got both below '(layers)?': choose"):
        renamed(nnx.state(two_layers()), names)


def test_what_fits_is_written_and_the_rest_is_named():
    model, old = Net(0), Net(1)
    kept = [np.asarray(leaf) for leaf in (model.body.bias, model.head.kernel)]
    state = {
        "body": {"kernel": old.body.kernel, "extra": draw(1)},
        "head": {"kernel": draw(4, 3), "bias": np.zeros(2, np.float64)},
    }
    left_out = load_fitting(model, nnx.State(state))
    assert left_out == LeftOut(
        missing=["body.bias"],
        unexpected=["body.extra"],
        misfits=[
            "head.bias is float64[2] instead of float32[2]",
            "head.kernel is float32[4, 3] instead of float32[4, 2]",
        ],
    )
    np.testing.assert_array_equal(model.body.kernel[...], old.body.kernel[...])
    for leaf, before in zip((model.body.bias, model.head.kernel), kept, strict=True):
        np.testing.assert_array_equal(leaf[...], before)


def test_a_load_keeps_the_variables_and_shares_no_numbers():
    model, old = Net(0), Net(1)
    kernel, array = model.body.kernel, draw(4)
    state = nnx.state(old)
    state["body"]["bias"] = array
    assert load_fitting(model, state) == ([], [], [])
    assert model.body.kernel is kernel
    assert isinstance(model.body.bias.get_value(), jax.Array)
    array[...] = 9.0
    assert not (model.body.bias[...] == 9.0).any()
    jax.jit(lambda state: jax.tree.map(jnp.negative, state), donate_argnums=0)(nnx.state(model))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(nnx.state(old)))


def test_bare_arrays_keys_and_variables_that_hold_trees_are_loaded():
    def build(seed):
        rngs = nnx.Rngs(seed)
        model = nnx.Dict(dropout=nnx.Dropout(0.5, rngs=rngs), array=jax.random.normal(rngs(), (2,)))
        model.pair = nnx.Variable({"one": jax.random.normal(rngs(), (2,)), "two": jnp.zeros(3)})
        return model

    model, old = build(0), build(1)
    assert load_fitting(model, nnx.state(old)) == ([], [], [])
    for one, two in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(nnx.state(old)), strict=True):
        assert (one == two).all()


def test_a_state_of_which_nothing_fits_is_refused():
    model = Net()
    before = np.asarray(model.body.kernel)
    with pytest.raises(ValueError, match=r"none does: missing: body\.bias, .*; unexpected: encoder\.bias"):
        load_fitting(model, renamed(nnx.state(Net(1)), {"body": "encoder", "head": None}))
    with pytest.raises(ValueError, match=r"none does: missing: .*; misfits: body\.bias is float16\[4\] instead of"):
        load_fitting(model, nnx.State({"body": {"bias": np.zeros(4, np.float16)}}))
    with pytest.raises(ValueError, match="both are empty"):
        load_fitting(nnx.Dict(), nnx.State({}))
    with pytest.raises(TypeError, match=r"must be an nnx\.State, got a dict: pass nnx\.state\(model\), or named_state"):
        load_fitting(model, {"body.bias": draw(4)})
    np.testing.assert_array_equal(model.body.kernel[...], before)


def test_an_optimizer_follows_a_layer_that_has_moved():
    model = two_layers()
    model.layers.append(nnx.Linear(2, 2, rngs=nnx.Rngs(1)))
    old = nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)
    train_step(model, old, lambda model, x: (model(x) ** 2).mean(), draw(5, 3))
    kept = np.asarray(old.opt_state[0].trace["layers"][3]["kernel"])
    del model.layers[2]
    new = nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)
    layers = "opt_state.0.trace.layers"
    moments = renamed(nnx.state(old), {f"{layers}.2": None, f"{layers}.3": f"{layers}.2"})
    load_fitting(new, moments)
    np.testing.assert_array_equal(new.opt_state[0].trace["layers"][2]["kernel"][...], kept)


def converted(layer, **arrays):
    assert load_fitting(layer, from_torch(layer, named_state(arrays))).misfits == []
    return layer


def test_linear_by_its_formula():
    weight, bias, x = draw(4, 4), draw(4), draw(5, 4)
    layer = converted(nnx.Linear(4, 4, rngs=nnx.Rngs(0)), weight=weight, bias=bias)
    np.testing.assert_allclose(layer(x), x @ weight.T + bias, rtol=1e-5, atol=1e-5)


def test_conv_by_its_formula():
    weight, bias, x = draw(3, 2, 3, 3), draw(3), draw(1, 2, 6, 6)
    layer = converted(nnx.Conv(2, 3, (3, 3), padding="VALID", rngs=nnx.Rngs(0)), weight=weight, bias=bias)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    expected = np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None]
    np.testing.assert_allclose(layer(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), expected, rtol=1e-4, atol=1e-4)


def test_embedding_by_its_formula():
    weight = draw(4, 4)
    layer = converted(nnx.Embed(4, 4, rngs=nnx.Rngs(0)), weight=weight)
    np.testing.assert_array_equal(layer(np.array([3, 0])), weight[[3, 0]])


def test_batch_norm_by_its_formula():
    weight, bias, mean, x = draw(3), draw(3), draw(3), draw(5, 3)
    var = draw(3) ** 2
    layer = nnx.BatchNorm(3, use_running_average=True, rngs=nnx.Rngs(0))
    arrays = {"running_mean": mean, "running_var": var, "num_batches_tracked": np.array(7)}
    state = from_torch(layer, named_state({"weight": weight, "bias": bias} | arrays))
    assert load_fitting(layer, state) == ([], [], [])
    expected = (x - mean) / np.sqrt(var + 1e-5) * weight + bias
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


def lstm(weight_ih, weight_hh, bias_ih, bias_hh, x):
    """Return what `torch.nn.LSTM` documents, for x of shape (time, in)."""

    def sigmoid(number):
        return 1 / (1 + np.exp(-number))

    h = c = np.zeros(weight_hh.shape[1], np.float32)
    outputs = []
    for row in x:
        i, f, g, o = np.split(weight_ih @ row + bias_ih + weight_hh @ h + bias_hh, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


def test_lstm_by_its_formula():
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    arrays = dict(zip(names, (draw(16, 3), draw(16, 4), draw(16), draw(16)), strict=True))
    cell = converted(nnx.OptimizedLSTMCell(3, 4, rngs=nnx.Rngs(0)), **arrays)
    x = draw(6, 3)
    np.testing.assert_allclose(nnx.RNN(cell)(x[None])[0], lstm(**arrays, x=x), rtol=1e-5, atol=1e-5)


def test_what_belongs_to_no_known_layer_stays():
    model = nnx.Dict(up=nnx.ConvTranspose(2, 2, (3, 3), rngs=nnx.Rngs(0)), scale=nnx.Param(jnp.ones(2)))
    arrays = {"up.weight": draw(2, 2, 3, 3), "up.bias": draw(2), "scale": draw(2), "gone.weight": draw(2, 3)}
    left_out = load_fitting(model, from_torch(model, named_state(arrays)))
    assert left_out == (["up.kernel"], ["gone.weight", "up.weight"], [])


def test_a_leaf_that_is_turned_already_stays():
    layer, kernel = nnx.Linear(3, 2, rngs=nnx.Rngs(0)), draw(3, 2)
    assert from_torch(layer, named_state({"kernel": kernel}))["kernel"] is kernel
    with pytest.raises(ValueError, match="kernel must be given once, got weight as well"):
        from_torch(layer, named_state({"kernel": kernel, "weight": kernel.T}))


def test_a_weight_without_two_axes_is_refused():
    with pytest.raises(ValueError, match=r"weight must have the axes \(out, in, …\), got shape \(3,\)"):
        from_torch(nnx.Linear(3, 1, rngs=nnx.Rngs(0)), named_state({"weight": draw(3)}))


def test_all_four_work_in_tree_mode():
    with nnx.set_graph_mode(False), nnx.set_graph_updates(False):
        model = two_layers()
        weight, bias, x = draw(4, 3), draw(4), draw(5, 3)
        state = renamed(named_state({"body.weight": weight, "body.bias": bias}), {"body": "layers.0"})
        assert load_fitting(model, from_torch(model, state)).missing == ["layers.2.bias", "layers.2.kernel"]
        np.testing.assert_allclose(model.layers[0](x), x @ weight.T + bias, rtol=1e-5, atol=1e-5)
        optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
        assert load_fitting(optimizer, nnx.state(optimizer)) == ([], [], [])


def test_a_multi_param_keeps_its_count():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    assert load_fitting(model, nnx.State({"bias": draw(2)})).missing == ["count", "kernel"]


LAYERS_OF_TORCH = {
    "linear": (lambda torch: torch.nn.Linear(4, 4), lambda rngs: nnx.Linear(4, 4, rngs=rngs), (5, 4)),
    "no-bias": (
        lambda torch: torch.nn.Linear(3, 2, bias=False),
        lambda rngs: nnx.Linear(3, 2, use_bias=False, rngs=rngs),
        (5, 3),
    ),
    "conv": (
        lambda torch: torch.nn.Conv2d(3, 3, 3, padding=1),
        lambda rngs: nnx.Conv(3, 3, (3, 3), padding=1, rngs=rngs),
        (2, 3, 8, 8),
    ),
    "strided": (
        lambda torch: torch.nn.Conv2d(2, 4, (3, 5), stride=2, padding=(1, 2)),
        lambda rngs: nnx.Conv(2, 4, (3, 5), strides=2, padding=((1, 1), (2, 2)), rngs=rngs),
        (2, 2, 8, 9),
    ),
    "grouped": (
        lambda torch: torch.nn.Conv1d(4, 6, 3, groups=2, dilation=2),
        lambda rngs: nnx.Conv(4, 6, 3, feature_group_count=2, kernel_dilation=2, padding="VALID", rngs=rngs),
        (2, 4, 9),
    ),
    "batch-norm": (
        lambda torch: torch.nn.BatchNorm2d(3),
        lambda rngs: nnx.BatchNorm(3, use_running_average=True, rngs=rngs),
        (2, 3, 4, 4),
    ),
    "layer-norm": (
        lambda torch: torch.nn.LayerNorm(4),
        lambda rngs: nnx.LayerNorm(4, epsilon=1e-5, rngs=rngs),
        (5, 4),
    ),
    "group-norm": (
        lambda torch: torch.nn.GroupNorm(2, 6),
        lambda rngs: nnx.GroupNorm(6, num_groups=2, epsilon=1e-5, rngs=rngs),
        (2, 6, 4, 4),
    ),
    "lstm": (
        lambda torch: torch.nn.LSTM(3, 4, batch_first=True),
        lambda rngs: nnx.RNN(nnx.OptimizedLSTMCell(3, 4, rngs=rngs)),
        (2, 6, 3),
    ),
}


def arrays_of(module):
    return {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("name", LAYERS_OF_TORCH)
def test_the_layers_of_torch_give_equal_outputs(name):
    torch = pytest.importorskip("torch", reason=WAITS)
    make_theirs, make_ours, shape = LAYERS_OF_TORCH[name]
    theirs, ours = make_theirs(torch).eval(), make_ours(nnx.Rngs(0))
    with torch.no_grad():
        for tensor in theirs.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.tensor(draw(*tensor.shape) ** 2 + 0.1))
    state = named_state(arrays_of(theirs))
    if name == "lstm":
        state = renamed(state, {part: f"cell.{part.removesuffix('_l0')}" for part in paths(state)})
    left_out = load_fitting(ours, from_torch(ours, state))
    assert (left_out.unexpected, left_out.misfits) == ([], [])
    assert all(path.startswith("rngs") for path in left_out.missing)
    x = draw(*shape)
    expected = theirs(torch.tensor(x))
    expected = expected[0] if name == "lstm" else expected
    image = x.ndim == 4 or name == "grouped"
    seen = np.asarray(ours(np.moveaxis(x, 1, -1) if image else x))
    np.testing.assert_allclose(np.moveaxis(seen, -1, 1) if image else seen, expected.detach(), rtol=1e-4, atol=1e-4)


def test_the_embedding_of_torch_gives_equal_outputs():
    torch = pytest.importorskip("torch", reason=WAITS)
    theirs, numbers = torch.nn.Embedding(5, 5), np.array([[4, 0], [2, 2]])
    ours = converted(nnx.Embed(5, 5, rngs=nnx.Rngs(0)), **arrays_of(theirs))
    np.testing.assert_array_equal(ours(numbers), theirs(torch.tensor(numbers)).detach())


def test_a_whole_model_of_torch_gives_equal_outputs():
    torch = pytest.importorskip("torch", reason=WAITS)
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    ours, x = two_layers(), draw(5, 3)
    state = renamed(named_state(arrays_of(theirs)), {"": "layers"})
    assert load_fitting(ours, from_torch(ours, state)) == ([], [], [])
    np.testing.assert_allclose(ours(x), theirs(torch.tensor(x)).detach(), rtol=1e-5, atol=1e-5)


def test_a_tensor_is_no_array():
    torch = pytest.importorskip("torch", reason=WAITS)
    with pytest.raises(TypeError, match=r"weight must be an array of NumPy or JAX, got a Parameter: .*numpy\(force"):
        named_state(dict(torch.nn.Linear(2, 1).named_parameters()))


def test_a_load_of_torch_that_is_not_strict_names_two_and_refuses_a_shape():
    torch = pytest.importorskip("torch", reason=WAITS)
    layer = torch.nn.Linear(2, 3)
    left_out = layer.load_state_dict({"weight": torch.zeros(3, 2), "more": torch.zeros(1)}, strict=False)
    assert left_out == (["bias"], ["more"])
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        layer.load_state_dict({"weight": torch.zeros(2, 2)}, strict=False)
