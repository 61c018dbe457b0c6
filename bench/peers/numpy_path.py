"""Training by hand in NumPy: no allocation in the loop, one flat buffer for all parameters."""

import numpy as np


def make(problem, threads):
    return NumPyTrainer(problem)


def predictor(problem, threads):
    """Return the plain way, all rows at once."""
    weights = problem.start

    def predict(x):
        for i in range(0, len(weights) - 2, 2):
            x = x @ weights[i]
            x += weights[i + 1]
            np.maximum(x, 0, out=x)
        return x @ weights[-2] + weights[-1]

    return predict


class NumPyTrainer:
    """Backpropagation with ``out=`` everywhere; threads are the BLAS library's."""

    def __init__(self, problem):
        work, dtype = problem.work, problem.dtype
        self.work, self.X, self.y = work, problem.X, problem.y
        self.flat = np.concatenate([w.ravel() for w in problem.start])
        self.gradient = np.empty_like(self.flat)
        self.scratch = np.empty_like(self.flat)
        self.views, self.gradients = [], []
        begin = 0
        for w in problem.start:
            end = begin + w.size
            self.views.append(self.flat[begin:end].reshape(w.shape))
            self.gradients.append(self.gradient[begin:end].reshape(w.shape))
            begin = end
        self.outputs = [np.empty((work.batch, n), dtype) for n in work.sizes[1:]]
        self.deltas = [np.empty_like(output) for output in self.outputs]
        self.masks = [np.empty(output.shape, bool) for output in self.outputs]
        self.column = np.empty((work.batch, 1), dtype)
        self.index = np.arange(work.batch)
        self.m, self.v, self.t = np.zeros_like(self.flat), np.zeros_like(self.flat), 0
        self.loss_gradient = getattr(self, f"{work.loss}_gradient")
        self.update = getattr(self, f"{work.optimizer}_update")

    def run(self, epochs):
        batch = self.work.batch
        for _ in range(epochs):
            for begin in range(0, self.work.rows, batch):
                self.step(self.X[begin : begin + batch], self.y[begin : begin + batch])

    def weights(self):
        return [view.copy() for view in self.views]

    def step(self, x, y):
        views, outputs, deltas = self.views, self.outputs, self.deltas
        last = len(outputs) - 1
        h = x
        for i, output in enumerate(outputs):
            np.matmul(h, views[2 * i], out=output)
            np.add(output, views[2 * i + 1], out=output)
            if i < last:
                np.maximum(output, 0, out=output)
            h = output
        self.loss_gradient(outputs[-1], y, deltas[-1])
        for i in range(last, -1, -1):
            delta = deltas[i]
            if i < last:
                np.greater(outputs[i], 0, out=self.masks[i])
                np.multiply(delta, self.masks[i], out=delta)
            np.matmul((outputs[i - 1] if i else x).T, delta, out=self.gradients[2 * i])
            np.add.reduce(delta, axis=0, out=self.gradients[2 * i + 1])
            if i:
                np.matmul(delta, views[2 * i].T, out=deltas[i - 1])
        self.update()

    def mae_gradient(self, f, y, d):
        np.subtract(f, y, out=d)
        np.sign(d, out=d)
        np.divide(d, self.work.batch, out=d)

    def mse_gradient(self, f, y, d):
        np.subtract(f, y, out=d)
        np.multiply(d, 2 / self.work.batch, out=d)

    def softmax_gradient(self, f, y, d):
        np.maximum.reduce(f, axis=1, keepdims=True, out=self.column)
        np.subtract(f, self.column, out=d)
        np.exp(d, out=d)
        np.add.reduce(d, axis=1, keepdims=True, out=self.column)
        np.divide(d, self.column, out=d)
        d[self.index, y] -= 1
        np.divide(d, self.work.batch, out=d)

    def sgd_update(self):
        np.multiply(self.gradient, self.work.learning_rate, out=self.gradient)
        np.subtract(self.flat, self.gradient, out=self.flat)

    def adam_update(self, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.t += 1
        g, m, v, scratch = self.gradient, self.m, self.v, self.scratch
        np.multiply(m, beta1, out=m)
        np.multiply(g, 1 - beta1, out=scratch)
        np.add(m, scratch, out=m)
        np.multiply(v, beta2, out=v)
        np.multiply(g, g, out=scratch)
        np.multiply(scratch, 1 - beta2, out=scratch)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.multiply(scratch, (1 - beta2**self.t) ** -0.5, out=scratch)
        np.add(scratch, epsilon, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, self.work.learning_rate / (1 - beta1**self.t), out=scratch)
        np.subtract(self.flat, scratch, out=self.flat)
