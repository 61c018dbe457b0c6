"""Search settings with Optuna, and end trials early that fall behind.

After each epoch a callback reports the validation score.  Optuna's pruner compares it with those of
earlier trials at the same epoch.  It needs ``pip install optuna``.
"""

import warnings

import numpy as np
import optuna
from pictures import arguments, panels, save
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fastnn import Callback
from fastnn.sklearn import MLPRegressor


class Report(Callback):
    """Report the validation error to a trial after each epoch, and stop if it is to be pruned."""

    def __init__(self, trial, X, y):
        self.trial, self.X, self.y = trial, X, y
        self.errors = []

    def on_epoch_end(self, epoch, logs):
        self.errors.append(float(np.abs(self.network.predict(self.X)[:, 0] - self.y).mean()))
        self.trial.report(self.errors[-1], epoch)
        if self.trial.should_prune():
            self.network.stop_training = True
            self.pruned = True

    pruned = False


def search(trials, epochs):
    """Return the study, and each trial's errors by epoch."""
    X, y = load_diabetes(return_X_y=True)
    X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=0)
    scaler, target = StandardScaler().fit(X_train), StandardScaler().fit(y_train[:, None])
    X_train, X_val = scaler.transform(X_train), scaler.transform(X_val)
    y_train, y_val = (target.transform(each[:, None])[:, 0] for each in (y_train, y_val))
    curves = []

    def objective(trial):
        report = Report(trial, X_val, y_val)
        units = trial.suggest_int("units", 4, 128, log=True)
        regressor = MLPRegressor(
            "absolute_error",
            hidden_layer_sizes=(units,) * trial.suggest_int("layers", 1, 3),
            activation=trial.suggest_categorical("activation", ["relu", "tanh", "gelu"]),
            learning_rate_init=trial.suggest_float("rate", 1e-4, 1e-1, log=True),
            alpha=trial.suggest_float("alpha", 1e-5, 10, log=True),
            max_iter=epochs,
            n_iter_no_change=epochs,
            random_state=0,
            callbacks=report,
        )
        regressor.fit(X_train, y_train)
        curves.append((report.errors, report.pruned))
        if report.pruned:
            raise optuna.TrialPruned
        return min(report.errors)

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0), pruner=optuna.pruners.MedianPruner(5, 10)
    )
    study.optimize(objective, trials)
    return study, curves


def main():
    args = arguments(__doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, curves = search(*((8, 15) if args.quick else (60, 60)))
    pruned = sum(ended for _, ended in curves)
    print(f"{len(curves)} trials, {pruned} of them pruned")
    print(f"mean absolute error {study.best_value:.3f} deviations with {study.best_params}")
    figure, axes = panels(1)
    if figure:
        for errors, ended in curves:
            axes[0].plot(errors, color="tab:red" if ended else "tab:blue", linewidth=0.8, alpha=0.6)
        axes[0].set(xlabel="epoch", ylabel="validation error", ylim=(0.5, 1.2))
        save(figure, args.directory, "pruned_search")


if __name__ == "__main__":
    main()
