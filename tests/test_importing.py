"""Networks of PyTorch's modules predict and train as these do."""

from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import activations, losses
from tests import imported
from tests.imported import INPUTS, close

DTYPES = "float32", "float64"
ROOT = Path(__file__).parent.parent


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    module.manual_seed(0)
    return module


def of_torch(module, **options):
    """Return the network of a module, which computes in NumPy, so that nothing compiles."""
    network = fastnn.from_torch(module, **options)
    network.backend = "numpy"
    return network


def predicted(torch, module, x):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(x)).numpy()


def written_out(torch):
    """Return a module whose forward is code of its own, in another order than its layers."""
    nn, functional = torch.nn, torch.nn.functional

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(4, 1)
            self.first = nn.Linear(INPUTS, 4)
            self.drop = nn.Dropout(0.5)

        def forward(self, x, mask=None):
            x = functional.leaky_relu(self.first(torch.flatten(x, 1)), 0.1)
            x = functional.dropout(x, 0.3, training=self.training)
            x = self.drop(torch.tanh(functional.gelu(x, approximate="tanh")))
            return torch.exp(self.last(x)).softmax(dim=1).sigmoid()

    return Mine()


def whole(torch):
    nn = torch.nn
    body = nn.Sequential(nn.Linear(8, 6, bias=False), nn.GELU("tanh"), nn.LayerNorm(6))
    return nn.Sequential(
        nn.Flatten(), nn.Linear(INPUTS, 8), nn.BatchNorm1d(8), nn.PReLU(8), nn.Dropout(0.2), body,
        nn.Identity(), nn.Softplus(), nn.Linear(6, 3), nn.Softmax(-1),
    )  # fmt: skip


def norm_without_bias(torch):
    norm = torch.nn.BatchNorm1d(INPUTS)
    norm.bias = None
    return torch.nn.Sequential(norm, torch.nn.Linear(INPUTS, 2))


def single(torch):
    return torch.nn.Linear(INPUTS, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", [whole, written_out, norm_without_bias, single])
def test_modules_predict_the_same(make, dtype, torch):
    module, x = make(torch).to(getattr(torch, dtype)).train(), imported.rows(dtype)
    module(torch.from_numpy(x))  # which moves running averages
    before = [each.clone() for each in module.state_dict().values()]
    network = of_torch(module)
    assert module.training
    assert all(map(torch.equal, before, module.state_dict().values()))
    assert close(network.predict(x), predicted(torch, module, x))


def test_functions_become_layers(torch):
    network = of_torch(written_out(torch))
    names = [type(layer).__name__ for layer in network.layers]
    assert names == [
        "Dense", "Dropout", "Activation", "Activation", "Dropout", "Dense", "Activation",
        "Activation",
    ]  # fmt: skip
    assert [each.rate for each in network.layers if hasattr(each, "rate")] == [0.3, 0.5]
    assert network.loss == losses.Logistic()


@pytest.mark.long
def test_100_random_modules(torch):
    rng = np.random.default_rng(0)
    for number in range(100):
        dtype = DTYPES[number % 2]
        module, x = imported.random_torch(rng, dtype), imported.rows(dtype)
        assert close(of_torch(module).predict(x), predicted(torch, module, x), 10), module


OPTIMIZERS = {
    "sgd": (lambda t, p: t.optim.SGD(p, 0.05), fastnn.SGD(0.05)),
    "momentum": (
        lambda t, p: t.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
        fastnn.SGD(0.05, 0.9, True),
    ),
    "adam": (lambda t, p: t.optim.Adam(p, 0.01, eps=1e-7), fastnn.Adam(0.01)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_as_in_torch(optimizer, dtype, torch):
    nn, x = torch.nn, imported.rows(dtype)
    y = np.sin(x[:, :1])
    module = nn.Sequential(
        nn.Linear(INPUTS, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4), nn.LayerNorm(4),
        nn.PReLU(4), nn.Linear(4, 1),
    ).to(getattr(torch, dtype))  # fmt: skip
    module[0].bias.requires_grad = False
    module[4].requires_grad_(False)
    theirs, ours = OPTIMIZERS[optimizer]
    network = of_torch(module, optimizer=ours)
    stepper = theirs(torch, [each for each in module.parameters() if each.requires_grad])
    module.train()
    for begin in range(0, 40, 8):
        part = slice(begin, begin + 8)
        stepper.zero_grad()
        loss = nn.functional.mse_loss(module(torch.from_numpy(x[part])), torch.from_numpy(y[part]))
        loss.backward()
        stepper.step()
        found = network.train_on_batch(x[part], y[part])
        assert np.isclose(found, loss.item(), rtol=1e-5 if dtype == "float32" else 1e-12)
    with torch.no_grad():  # PyTorch tracks the variance times m / (m - 1): see the docstring
        ratio = 8 / 7
        kept = 0.9**5
        variance = module[1].running_var
        variance.copy_((variance - kept) / ratio + kept)
    # Adam divides by roots of squares, which are as exact as half the digits.
    factor = 200 if optimizer == "adam" else 20
    assert close(network.predict(x), predicted(torch, module, x), factor)
    bias = network.get_weights()[1]
    assert np.array_equal(bias, module[0].bias.detach().numpy())


def test_training_goes_on_in_compiled_code(torch):
    module, x = torch.nn.Sequential(torch.nn.Linear(INPUTS, 1)), imported.rows()
    network = fastnn.from_torch(module, optimizer=fastnn.SGD(0.1))
    history = network.fit(x, x[:, 0], epochs=20, batch_size=10)
    assert history.history["loss"][-1] < 0.01


@pytest.mark.parametrize("tensors", [True, False])
def test_state_dicts(tensors, torch):
    nn, x = torch.nn, imported.rows()
    module = nn.Sequential(
        nn.Linear(INPUTS, 4), nn.ReLU(), nn.Linear(4, 3, bias=False), nn.ELU(0.5), nn.Linear(3, 2)
    )
    state = module.state_dict()
    if not tensors:
        state = {name: each.numpy() for name, each in state.items()}
    functions = {"activation": ["relu", activations.ELU(0.5)], "output_activation": "linear"}
    network = of_torch(state, **functions)
    assert close(network.predict(x), predicted(torch, module, x))


W = {"0.weight": np.ones((4, 3)), "0.bias": np.zeros(4), "2.weight": np.ones((1, 4))}


@pytest.mark.parametrize(
    "state, options, error, message",
    [
        (W, {}, ValueError, "^activation is not given, and a state dict"),
        (W, {"activation": "relu"}, ValueError, "output_activation is not given, and a state"),
        (
            W,
            {"activation": ["relu", "relu"], "output_activation": "linear"},
            ValueError,
            "activation has 2 entries for 1 hidden layers",
        ),
        (
            W | {"2.weight": np.ones((1, 5))},
            {"activation": "relu", "output_activation": "linear"},
            ValueError,
            r"cannot import module\['2.\*'\]: it takes 5 numbers, but what comes before it has 4",
        ),
        (
            W | {"1.weight": np.ones(4), "1.bias": np.ones(4), "1.running_mean": np.ones(4)},
            {},
            ValueError,
            r"module\['1.\*'\]: it has {.*running_mean.*}, wanted those of Linear alone",
        ),
        ({"epoch": 3}, {}, TypeError, r"module\['epoch'\] is a int, wanted a state dict"),
        (
            W | {"2.weight": np.ones((1, 4), "float16")},
            {"activation": "relu", "output_activation": "linear"},
            ValueError,
            "its weights are float16, wanted float32 or float64",
        ),
        (
            W | {"2.weight": np.ones((1, 4), "float32")},
            {"activation": "relu", "output_activation": "linear"},
            ValueError,
            "its weights are float32, those before it float64",
        ),
        ({}, {"output_activation": "linear"}, ValueError, "it has no layer with weights"),
    ],
)
def test_state_dicts_that_are_refused(state, options, error, message):
    with pytest.raises(error, match=message):
        fastnn.from_torch(state, **options)


def refused(torch):
    """Return modules with the beginning of what is said of them."""
    nn, functional = torch.nn, torch.nn.functional

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)

    def of(function):
        return type("Mine", (Layer,), {"forward": function})()

    def branching(self, x):
        return self.a(-x if x.sum() > 0 else x)

    def in_place(self, x):
        y = self.a(x)
        y.relu_()
        return y

    def without_gradients(self, x):
        with torch.no_grad():
            x = self.a(x)
        return x.relu()

    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    hooked, replaced, shared, frozen = (
        nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 3)) for _ in range(4)
    )
    hooked[0].register_forward_hook(lambda module, given, result: 2 * result)
    replaced[0].forward = lambda x: x
    shared[2].weight = shared[0].weight
    frozen[1].bias.requires_grad = False
    first = nn.Linear(3, 4)
    masked, pruned, old = (nn.Sequential(nn.Linear(3, 3)) for _ in range(3))
    masked[0].weight.register_hook(lambda gradient: 0 * gradient)
    from torch.nn.utils import prune

    prune.l1_unstructured(pruned[0], "weight", 0.5)
    torch.nn.utils.spectral_norm(old[0])
    norm = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
    return {
        "module, Mine: its forward is no chain: .*add": of(lambda self, x: x + self.a(x)),
        "module, Mine: torch.fx cannot trace its forward": of(branching),
        "module, Mine: its forward is no chain: .*relu_.* is beside it": of(in_place),
        "its forward differs between training and eval": of(
            lambda self, x: self.a(x) if self.training else self.a(x).relu()
        ),
        "it drops in evaluation too": of(lambda self, x: self.a(functional.dropout(x, 0.5))),
        r"its forward has .*mul.* which is none of relu": of(lambda self, x: self.a(x) * 2),
        r"module\['a'\], Linear.*: it shares a parameter with module\['a'\]": of(
            lambda self, x: self.a(self.a(x))
        ),
        "module, Doubled: its forward is no chain": Doubled(3, 2),
        r"module\['0'\], Linear: it has hooks": hooked,
        r"module\['0'\], Linear: it has hooks, which may": pruned,
        r"module\['0'\], Linear: it has hooks, which may compute": old,
        r"module\['0.weight'\]: it has hooks, which may change its gradient": masked,
        "its forward has .*_0_a.* is under torch.no_grad": of(without_gradients),
        "module, Linear.*meta tensor": nn.Linear(3, 3, device="meta"),
        r"module\['0'\], Linear: its forward was replaced": replaced,
        r"module\['2'\], Linear.*: it shares a parameter with module\['0'\]": shared,
        r"module\['1'\], LayerNorm.*: only some of its parameters are trained": frozen,
        "module, ParametrizedLinear: fastnn has no such layer": norm,
        r"module\['1'\], LogSoftmax.*: fastnn has no": nn.Sequential(first, nn.LogSoftmax(1)),
        r"module\['0'\], Embedding.*: fastnn has no": nn.Sequential(nn.Embedding(3, 4)),
        r"module\['1'\], PReLU.*has one for each: PReLU\(4\)": nn.Sequential(first, nn.PReLU()),
        r"module\['1'\], Softplus.*has beta=1": nn.Sequential(first, nn.Softplus(2.0)),
        r"module\['1'\], Softplus.*at least 20": nn.Sequential(first, nn.Softplus(1.0, 5.0)),
        r"module\['1'\], Softmax.*wanted dim=1": nn.Sequential(first, nn.Softmax(0)),
        r"module\['1'\], Flatten.*wanted start_dim=1": nn.Sequential(first, nn.Flatten(0)),
        r"module\['1'\], Dropout.*rate is 1.0": nn.Sequential(first, nn.Dropout(1.0)),
        r"module\['1'\], LeakyReLU.*negative_slope is -1": nn.Sequential(first, nn.LeakyReLU(-1.0)),
        r"module\['1'\], BatchNorm1d.*momentum=None": nn.Sequential(
            first, nn.BatchNorm1d(4, momentum=None)
        ),
        r"module\['1'\], BatchNorm1d.*track_running_stats=False": nn.Sequential(
            first, nn.BatchNorm1d(4, track_running_stats=False)
        ),
        r"module\['1'\], Linear.*: it takes 3 numbers, but what comes before": nn.Sequential(
            first, nn.Linear(3, 4)
        ),
        "its weights are float16": nn.Linear(3, 2).half(),
        "its weights are torch.bfloat16": nn.Linear(3, 2).bfloat16(),
        "module: it has no layer with weights": nn.ReLU(),
        "LazyLinear": nn.LazyLinear(3),
    }


def test_modules_that_are_refused(torch):
    for message, module in refused(torch).items():
        with pytest.raises(ValueError, match=message):
            fastnn.from_torch(module)


def test_what_is_no_module_is_refused(torch):
    with pytest.raises(TypeError, match="module is a list, wanted a torch.nn.Module or a state"):
        fastnn.from_torch([1])
    with pytest.raises(ValueError, match="activation is for a state dict; a module has its own"):
        fastnn.from_torch(single(torch), activation="relu")


def test_loss_and_optimizer(torch):
    nn = torch.nn
    for last, units, loss in (
        (nn.Softmax(1), 3, losses.SoftmaxCrossEntropy()),
        (nn.Sigmoid(), 1, losses.Logistic()),
        (nn.Tanh(), 1, losses.MSE()),
    ):
        assert of_torch(nn.Sequential(nn.Linear(2, units), last)).loss == loss
    network = of_torch(nn.Linear(2, 2), loss="mae", optimizer=fastnn.Adam(0.5))
    assert network.loss == losses.MAE() and network.optimizer == fastnn.Adam(0.5)


def test_an_imported_network_is_saved_and_exported(torch, tmp_path):
    module, x = whole(torch), imported.rows()
    network = of_torch(module)
    network.save(tmp_path / "a.fastnn")
    assert np.array_equal(fastnn.load(tmp_path / "a.fastnn").predict(x[:3]), network.predict(x[:3]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["MLPRegressor", "MLPClassifier"])
def test_round_trips_with_scikit_learn(kind, dtype):
    neural_network = pytest.importorskip("sklearn.neural_network")
    from fastnn.sklearn import from_sklearn, to_sklearn

    x = imported.rows(dtype)
    y = x[:, 0] if kind == "MLPRegressor" else np.arange(len(x)) % 3
    model = getattr(neural_network, kind)(
        hidden_layer_sizes=(4,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    )
    theirs = model.fit(x, y)
    ours = from_sklearn(theirs)
    predict = "predict" if kind == "MLPRegressor" else "predict_proba"
    wanted = getattr(theirs, predict)(x)
    assert np.allclose(getattr(ours, predict)(x), wanted, rtol=1e-5, atol=1e-5)
    assert np.allclose(getattr(to_sklearn(ours), predict)(x), wanted, rtol=1e-5, atol=1e-5)
