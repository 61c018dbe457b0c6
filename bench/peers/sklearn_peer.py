"""scikit-learn's MLPRegressor and MLPClassifier, an epoch for each call of ``partial_fit``.

It has no absolute error, so it trains squared error where the work says MAE. Its squared error
carries a factor 1/2, hence the doubled learning rate of SGD.
"""

from dataclasses import replace

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor


def make(problem, threads):
    return SklearnTrainer(problem)


def trained(work):
    """Return the work that scikit-learn does when asked for `work`."""
    return replace(work, loss="mse") if work.loss == "mae" else work


def predictor(problem, threads):
    return SklearnTrainer(problem).model.predict


class SklearnTrainer:
    def __init__(self, problem):
        work = problem.work
        classify = work.loss == "softmax"
        double = not classify and work.optimizer == "sgd"
        self.model = (MLPClassifier if classify else MLPRegressor)(
            hidden_layer_sizes=work.sizes[1:-1],
            solver=work.optimizer,
            alpha=0.0,
            batch_size=work.batch,
            learning_rate_init=work.learning_rate * (2 if double else 1),
            shuffle=False,
            momentum=0.0,
            nesterovs_momentum=False,
        )
        self.X, self.y = problem.X, problem.y if classify else problem.y[:, 0]
        self.extra = {"classes": np.arange(work.sizes[-1])} if classify else {}
        # One step makes the arrays; then the shared start is written over them.
        few = slice(0, work.batch)
        self.model.partial_fit(self.X[few], self.y[few], **self.extra)
        del self.model._optimizer
        for i, (W, b) in enumerate(zip(problem.start[::2], problem.start[1::2], strict=True)):
            self.model.coefs_[i][...] = W
            self.model.intercepts_[i][...] = b

    def run(self, epochs):
        for _ in range(epochs):
            self.model.partial_fit(self.X, self.y, **self.extra)

    def weights(self):
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [array.copy() for pair in pairs for array in pair]
