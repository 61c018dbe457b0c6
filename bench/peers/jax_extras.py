"""JAX, one jitted ``lax.scan`` for each epoch, with the extras of :mod:`bench.extras`."""

import jax
import jax.numpy as jnp
import numpy as np

from bench.extras import STRENGTH
from bench.peers.jax_updates import UPDATES, begin, bounded, penalty_gradient

MOMENTUM, EPSILON = 0.99, 1e-3


def make(problem, extra, threads):
    return ExtraTrainer(problem, extra)


def normalized(parameters, moving, x):
    """Return a batch normalized, and the moving averages after it."""
    (gamma, beta), (moving_mean, moving_variance) = parameters, moving
    mean, variance = x.mean(axis=0), x.var(axis=0)
    moving = (
        MOMENTUM * moving_mean + (1 - MOMENTUM) * mean,
        MOMENTUM * moving_variance + (1 - MOMENTUM) * variance,
    )
    return gamma * (x - mean) * jax.lax.rsqrt(variance + EPSILON) + beta, moving


def forward(extra, parameters, moving, key, x):
    """Return the outputs for a training batch, and the moving averages after it."""
    followed = []
    for number, layer in enumerate(parameters[:-1]):
        if extra.batch_norm:
            x, averages = normalized(layer[1:], moving[number], x @ layer[0])
            followed.append(averages)
        else:
            x = x @ layer[0] + layer[1]
        x = jax.nn.relu(x)
        if extra.dropout:
            kept = 1 - extra.dropout
            mask = jax.random.bernoulli(jax.random.fold_in(key, number), kept, x.shape)
            x = jnp.where(mask, x / kept, 0)
    return x @ parameters[-1][0] + parameters[-1][1], followed


def mae(f, y):
    return jnp.abs(f - y).sum(axis=1).mean()


def softmax(f, y):
    picked = jnp.take_along_axis(f, y[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(f, axis=1) - picked).mean()


class ExtraTrainer:
    def __init__(self, problem, extra):
        if problem.dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        work = problem.work
        n_batches = work.rows // work.batch
        self.X = jnp.asarray(problem.X.reshape(n_batches, work.batch, -1))
        self.y = jnp.asarray(problem.y.reshape(n_batches, work.batch, *problem.y.shape[1:]))
        weights = [jnp.array(w) for w in extra.start(problem.start)]
        size = 5 if extra.batch_norm else 2
        layers = [weights[i : i + size] for i in range(0, len(weights) - 2, size)]
        moving = [tuple(layer[3:]) for layer in layers if extra.batch_norm]
        parameters = [*(layer[:3] for layer in layers), weights[-2:]]
        update, rate = UPDATES[extra.optimizer][1], extra.rate(work)
        state = [begin(extra.optimizer, w) for w in jax.tree.leaves(parameters)]
        self.carry = parameters, moving, jax.random.key(0), state, jnp.ones((), weights[0].dtype)
        row_loss = {"mae": mae, "softmax": softmax}[work.loss]

        def loss(parameters, moving, key, x, y):
            f, moving = forward(extra, parameters, moving, key, x)
            return row_loss(f, y), moving

        def step(carry, batch):
            parameters, moving, key, state, t = carry
            key, now = jax.random.split(key) if extra.dropout else (key, key)
            gradients, moving = jax.grad(loss, has_aux=True)(parameters, moving, now, *batch)
            flat, shape = jax.tree.flatten(parameters)
            updated = [
                update(rate, g + penalty_gradient(extra.penalty, STRENGTH, w), arrays, w, t)
                for w, g, arrays in zip(flat, jax.tree.leaves(gradients), state, strict=True)
            ]
            parameters = jax.tree.unflatten(shape, [bounded(extra.max_norm, w) for _, w in updated])
            return (parameters, moving, key, [arrays for arrays, _ in updated], t + 1), None

        self.jitted = jax.jit(
            lambda carry, data: jax.lax.scan(step, carry, data)[0], donate_argnums=0
        )

    def run(self, epochs):
        carry, data = self.carry, (self.X, self.y)
        for _ in range(epochs):
            carry = self.jitted(carry, data)
        self.carry = jax.block_until_ready(carry)

    def weights(self):
        parameters, moving = self.carry[:2]
        followed = [*moving, ()] if moving else [()] * len(parameters)
        arrays = [a for pair in zip(parameters, followed, strict=True) for p in pair for a in p]
        return [np.asarray(array) for array in arrays]
