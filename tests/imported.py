"""Models of other libraries to import, and random ones."""

import numpy as np

TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
"""Of the largest output."""
INPUTS = 5


def close(found, wanted, factor=1):
    """Return whether predictions are equal, of one dtype, but for rounding."""
    assert found.shape == wanted.shape and found.dtype == wanted.dtype, (found.dtype, wanted.dtype)
    error = np.abs(found - wanted).max()
    return error <= factor * TOLERANCE[found.dtype.name] * max(1, np.abs(wanted).max())


def rows(dtype="float32", count=40):
    return np.random.default_rng(0).normal(size=(count, INPUTS)).astype(dtype)


def random_torch(rng, dtype):
    """Return a module of up to six random layers, whose batch normalization has seen rows."""
    import torch
    from torch import nn

    torch.manual_seed(int(rng.integers(1 << 30)))
    width, layers = INPUTS, []
    for _ in range(rng.integers(1, 7)):
        units = int(rng.integers(1, 12))
        activation = [
            nn.ReLU(), nn.LeakyReLU(float(rng.random())), nn.ELU(0.1 + float(rng.random())),
            nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Softplus(),
            nn.Sigmoid(), nn.Tanh(), nn.Softmax(1), nn.PReLU(units), nn.Identity(),
        ][rng.integers(14)]  # fmt: skip
        others = [
            nn.BatchNorm1d(units, eps=10.0 ** -rng.integers(2, 6), affine=bool(rng.integers(2))),
            nn.LayerNorm(units, bias=bool(rng.integers(2))),
            nn.Dropout(0.2),
            nn.Sequential(nn.Flatten(), nn.Identity()),
        ]
        rng.shuffle(others)
        layers += [nn.Linear(width, units, bool(rng.integers(2))), activation]
        layers += others[: rng.integers(3)]
        width = units
    module = nn.Sequential(*layers, nn.Linear(width, 2)).to(getattr(torch, dtype))
    with torch.no_grad():
        for each in module.parameters():
            each += 0.1 * torch.randn_like(each)
        module(torch.from_numpy(rows(dtype)))
    return module.eval()


def random_keras(rng, dtype):
    """Return a model of up to six random layers, whose batch normalization has numbers."""
    import keras
    from keras import layers as kinds

    found = [keras.Input((INPUTS,), dtype=dtype)]
    names = [
        "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "exponential",
        "sigmoid", "tanh", "softmax", "linear",
    ]  # fmt: skip
    for _ in range(rng.integers(1, 7)):
        activation = names[rng.integers(len(names))]
        use_bias = bool(rng.integers(2))
        units = int(rng.integers(1, 12))
        found.append(kinds.Dense(units, activation, use_bias=use_bias, dtype=dtype))
        others = [
            kinds.BatchNormalization(
                center=bool(rng.integers(2)), scale=bool(rng.integers(2)), dtype=dtype
            ),
            kinds.LayerNormalization(center=bool(rng.integers(2)), dtype=dtype),
            kinds.Dropout(0.2, dtype=dtype),
            kinds.LeakyReLU(float(rng.random()), dtype=dtype),
            kinds.ELU(0.1 + float(rng.random()), dtype=dtype),
            kinds.PReLU(dtype=dtype),
            kinds.Activation("tanh", dtype=dtype),
        ]
        rng.shuffle(others)
        found += others[: rng.integers(3)]
    model = keras.Sequential([*found, kinds.Dense(2, dtype=dtype)])
    model.set_weights([w + 0.1 * abs(rng.normal(size=w.shape)) for w in model.get_weights()])
    return model
