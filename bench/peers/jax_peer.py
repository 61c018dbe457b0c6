"""JAX, jitted: a call for each step, and one ``lax.scan`` for each epoch."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


def make_step(problem, threads):
    return StepTrainer(problem)


def make_scan(problem, threads):
    return ScanTrainer(problem)


def make_rounded_scan(problem, threads):
    return ScanTrainer(problem, rounded)


def predictor(problem, threads):
    if problem.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    parameters, jitted = [jnp.asarray(w) for w in problem.start], jax.jit(forward)
    return lambda x: np.asarray(jitted(parameters, x))


def forward(parameters, x, product=jnp.matmul):
    for i in range(0, len(parameters) - 2, 2):
        x = jax.nn.relu(product(x, parameters[i]) + parameters[i + 1])
    return product(x, parameters[-2]) + parameters[-1]


def rounded(a, b):
    """Return the product of factors rounded to bfloat16, with sums in float32."""
    a, b = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)


def mae(prediction, y):
    return jnp.abs(prediction - y).sum(axis=1).mean()


def mse(prediction, y):
    return jnp.square(prediction - y).sum(axis=1).mean()


def softmax(logits, y):
    picked = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(logits, axis=1) - picked).mean()


def sgd(rate, parameters, gradients, state):
    return [p - rate * g for p, g in zip(parameters, gradients, strict=True)], state


def adam(rate, parameters, gradients, state, beta1=0.9, beta2=0.999, epsilon=1e-8):
    t, m, v = state
    t = t + 1
    m = [beta1 * a + (1 - beta1) * g for a, g in zip(m, gradients, strict=True)]
    v = [beta2 * a + (1 - beta2) * g * g for a, g in zip(v, gradients, strict=True)]
    # expm1: in float32, 1 - 0.999**t would lose four digits at the first steps.
    rate = -rate / jnp.expm1(t * math.log(beta1))
    scale = jax.lax.rsqrt(-jnp.expm1(t * math.log(beta2)))
    new = [
        p - rate * a / (jnp.sqrt(b) * scale + epsilon)
        for p, a, b in zip(parameters, m, v, strict=True)
    ]
    return new, (t, m, v)


LOSSES = {"mae": mae, "mse": mse, "softmax": softmax}


class _Trainer:
    def __init__(self, problem, product=jnp.matmul):
        if problem.dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        work = problem.work
        n_batches = work.rows // work.batch
        self.X = jnp.asarray(problem.X.reshape(n_batches, work.batch, -1))
        self.y = jnp.asarray(problem.y.reshape(n_batches, work.batch, *problem.y.shape[1:]))
        parameters = [jnp.array(w) for w in problem.start]
        state = None
        if work.optimizer == "adam":
            zeros = [jnp.zeros_like(p) for p in parameters]
            state = (jnp.zeros((), problem.dtype), zeros, [jnp.copy(z) for z in zeros])
        self.carry = (parameters, state)
        row_loss = LOSSES[work.loss]
        gradient = jax.grad(lambda w, x, y: row_loss(forward(w, x, product), y))
        update = partial({"sgd": sgd, "adam": adam}[work.optimizer], work.learning_rate)

        def step(carry, batch):
            parameters, state = carry
            return update(parameters, gradient(parameters, *batch), state), None

        self.step = step

    def weights(self):
        return [np.asarray(p) for p in self.carry[0]]


class StepTrainer(_Trainer):
    def __init__(self, problem):
        super().__init__(problem)
        self.batches = list(zip(self.X, self.y, strict=True))
        self.jitted = jax.jit(lambda carry, batch: self.step(carry, batch)[0], donate_argnums=0)

    def run(self, epochs):
        carry = self.carry
        for _ in range(epochs):
            for batch in self.batches:
                carry = self.jitted(carry, batch)
        self.carry = jax.block_until_ready(carry)


class ScanTrainer(_Trainer):
    def __init__(self, problem, product=jnp.matmul):
        super().__init__(problem, product)
        self.jitted = jax.jit(
            lambda carry, data: jax.lax.scan(self.step, carry, data)[0], donate_argnums=0
        )

    def run(self, epochs):
        carry, data = self.carry, (self.X, self.y)
        for _ in range(epochs):
            carry = self.jitted(carry, data)
        self.carry = jax.block_until_ready(carry)
