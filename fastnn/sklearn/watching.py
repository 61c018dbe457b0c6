"""What scikit-learn's MLP does after every epoch: note the loss, and stop when nothing improves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.callbacks import Callback
from fastnn.network import Network


class Progress:
    """What has been noted so far, also over several fits of a warm start."""

    def __init__(self, by_score: bool, scores: bool):
        self.t = 0
        """Rows seen."""
        self.loss_curve: list[float] = []
        self.no_improvement = 0
        self.best_loss = None if by_score else np.inf
        self.validation_scores: list[float] | None = [] if scores else None
        self.best_validation_score = -np.inf if scores else None


@dataclass
class Rules:
    """When to stop, and what to do with the learning rate until then."""

    tol: float
    patience: float
    """`n_iter_no_change`"""
    stops_by_score: bool
    verbose: bool
    rate: str
    """"constant", "invscaling", "adaptive", or "" if the optimizer knows itself."""
    rate_init: float
    power_t: float


class Watch(Callback):
    """Follow one network's fit.

    Parameters
    ----------
    progress : Progress
        Continued.
    rules : Rules
    n_rows : int
    score : callable or None
        ``score(network)`` is the validation score.
    as_loss : callable
        ``as_loss(network, loss)`` is the loss to report for an epoch's.
    tell : callable or None
        Called after every epoch; if it returns True, the fit ends.
    """

    def __init__(
        self,
        progress: Progress,
        rules: Rules,
        n_rows: int,
        score: Callable[[Network], float] | None,
        as_loss: Callable[[Network, float], float],
        tell: Callable[[], bool] | None,
    ):
        self.progress, self.rules, self.n_rows = progress, rules, n_rows
        self.score, self.as_loss, self.tell = score, as_loss, tell
        self.n_iter, self.stopped = 0, False
        self.best: list[np.ndarray] | None = None
        self.at_once = not (rules.stops_by_score or score or tell or rules.rate == "invscaling")
        self.penalty = 0.0

    def epochs_at_once(self) -> float:
        """Return how many epochs cannot stop the fit.

        Their losses have the penalty after the last of them, which must be small beside `tol`.
        """
        if self.at_once:
            before, self.penalty = self.penalty, self.network.model.penalty()
            self.at_once = abs(self.penalty - before) <= self.rules.tol / 10
        if not self.at_once:
            return 1
        return self.rules.patience + 1 - self.progress.no_improvement

    def on_train_begin(self, network: Any) -> None:
        self.penalty = network.model.penalty()
        if self.rules.stops_by_score:
            self.best = network.get_weights()

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        progress, rules, network = self.progress, self.rules, self.network
        self.n_iter += 1
        progress.t += self.n_rows
        loss = self.as_loss(network, logs["loss"])
        progress.loss_curve.append(loss)
        if rules.verbose:
            say(f"Iteration {self.n_iter}, loss = {loss:.8f}")
        if self.score is not None:
            self.note_score(self.score(network))
        if not rules.stops_by_score and progress.best_loss is not None:
            worse = loss > progress.best_loss - rules.tol
            progress.no_improvement = progress.no_improvement + 1 if worse else 0
            progress.best_loss = min(progress.best_loss, loss)
        if rules.rate == "invscaling":
            network.optimizer.learning_rate = rules.rate_init / (progress.t + 1) ** rules.power_t
        if progress.no_improvement > rules.patience:
            self.end()
        if self.tell is not None and self.tell():
            self.stopped = network.stop_training = True

    def note_score(self, score: float) -> None:
        """Note a validation score, and keep the best weights."""
        progress, rules = self.progress, self.rules
        if progress.validation_scores is None or progress.best_validation_score is None:
            return
        progress.validation_scores.append(score)
        if rules.verbose:
            say(f"Validation score: {score:f}")
        if rules.stops_by_score:
            worse = not score >= progress.best_validation_score + rules.tol
            progress.no_improvement = progress.no_improvement + 1 if worse else 0
        if score > progress.best_validation_score:
            progress.best_validation_score = score
            if rules.stops_by_score:
                self.best = self.network.get_weights()

    def end(self) -> None:
        """Stop, or go on with a smaller learning rate."""
        rules, optimizer = self.rules, self.network.optimizer
        what = "Validation score" if rules.stops_by_score else "Training loss"
        reason = (
            f"{what} did not improve more than tol={rules.tol:f} for {rules.patience} "
            "consecutive epochs."
        )
        if rules.rate == "adaptive" and optimizer.learning_rate > 1e-6:
            optimizer.learning_rate /= 5
            self.progress.no_improvement = 0
            reason += f" Setting learning rate to {optimizer.learning_rate:f}"
        else:
            self.stopped = self.network.stop_training = True
            reason += " Stopping."
        if rules.verbose:
            say(reason)


def say(line: str) -> None:
    """Print a line at once, for members print from threads of their own."""
    print(f"{line}\n", end="", flush=True)
