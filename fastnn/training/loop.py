"""The loop over epochs: run the compiled program, count, evaluate, and tell the callbacks."""

import math
import time
from typing import Any

import numpy as np

from fastnn.callbacks import Callback
from fastnn.callbacks.base import SPEED
from fastnn.engine import cores, single, team, threads
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program
from fastnn.kernels.interrupts import uninterrupted
from fastnn.training import attributes, bounds, evaluation, lowering, pool
from fastnn.training.lowering import Order
from fastnn.training.model import ROW_FLOPS, Model
from fastnn.training.planning import Plan, in_batches
from fastnn.training.recovery import Reach, Start, go_back, largest, not_finite, reach
from fastnn.training.short import Short, is_short

_ROWS = 1000
"""Training on so many rows takes much longer than looking at all weights and copying them."""
_TOGETHER = 10_000
"""Epochs of one run of the compiled code, which keeps their losses."""
_NONE = np.empty((0, 0), np.float32)
_ADVICE = (
    "The network keeps its last good weights; a smaller learning rate, or inputs and targets of a "
    "smaller scale, may help"
)


def train(model: Model, plan: Plan, hooks: Callback, watched: bool, network: Any = None) -> None:
    """Follow a plan that :func:`begin` returned.

    `hooks` are told that `network` trains and, if `watched`, about progress within an epoch.
    """
    run = _Run(model, plan, hooks, watched)
    model.stop_training = False
    hooks.check(log_names(model, plan.validation is not None))
    hooks.on_train_begin(network)
    try:
        while run.done < plan.epochs and not run.stops():
            run.some_epochs()
        run.verify()
        run.end()
    finally:
        hooks.on_train_end(run.logs)


class _Run:
    """A fit in progress: its program, and the epochs done so far."""

    def __init__(self, model: Model, plan: Plan, hooks: Callback, watched: bool):
        self.model, self.plan, self.hooks, self.watched = model, plan, hooks, watched
        self.done = 0
        self.callers: Any = np.geterr()  # for callbacks that are called while we compute
        self.logs: dict[str, float] = {}
        # If nobody needs to know in between, all epochs are one run of the compiled code.
        penalized = any(each.regularizer for each in model.all_parameters())
        told = plan.validation is not None or bool(model.metrics)
        self.each = told or (penalized and not watched)
        self.identity: tuple[Any, ...] = ()
        self.settings: tuple[Any, ...] = ()
        self.short: Short | None = None
        self.starts: list[Start] = []
        self.sizes: list[float] = []
        """The magnitudes of what updates change, if they are known."""
        self.targets = _targets(model)
        self.ranks = plan.shards.ranks if plan.shards else None
        self.most = _TOGETHER
        self.kept: pool.Kept
        self.reach: Reach
        self.program: Program
        self.outputs: list[np.ndarray]

    def stops(self) -> bool:
        """Return whether a callback has said so, to this rank or another.

        Ranks also agree on how many epochs to train until the next are told of.
        """
        if self.ranks is None:
            return self.model.stop_training
        from fastnn.training import sharing  # most programs never need it

        self.most = _TOGETHER
        own = self.model.stop_training, self.ahead(), sharing.state(self.model)
        stops, ahead, states = zip(*self.ranks.agree(own), strict=True)
        sharing.check_same(own[-1], states, self.ranks.rank)
        self.most = min(ahead)
        return any(stops)

    def lower(self) -> None:
        """Make the program if there is none yet or if the model's attributes have changed."""
        model, plan = self.model, self.plan
        if self.done:  # a callback may have changed them
            if self.identity == (now := attributes.identity(model)):
                return
            self.identity = now
            if self.settings == attributes.snapshot(model):
                return
            attributes.settle(model)
            in_batches(model, plan)
        if _targets(model) != self.targets:
            raise ValueError(
                f"loss is {model.loss!r}, which wants other targets than this fit began with: "
                "set it before a fit"
            )
        with uninterrupted():
            self.kept = kept(model, plan)
        self.program, self.outputs = self.kept.program, self.kept.outputs
        self.short, self.reach = None, None if plan.shards else reach(model, plan.data)
        self.layers = list(model.layers)  # a callback may take some away
        validation = plan.validation
        self.validation = None if validation is None else evaluation.Evaluator(model, validation)
        if self.ahead() < plan.epochs:
            self.identity, self.settings = attributes.identity(model), attributes.snapshot(model)

    def due(self) -> bool:
        """Return whether to look at all weights now, and to copy them.

        If nobody else looks at them, that happens seldom enough to cost little.
        """
        if self.watched or not self.starts:
            return True
        epochs = self.model.epochs - self.starts[-1].epoch
        return epochs * self.plan.n_rows >= _ROWS

    def ahead(self) -> int:
        """Return how many epochs to train until the next are told of."""
        left = min(self.plan.epochs - self.done, self.most)
        if self.each or not self.watched:
            return 1 if self.each else left
        return max(1, int(min(self.hooks.epochs_at_once(), left)))

    def some_epochs(self) -> None:
        """Train for one epoch, or for all remaining ones, and tell the hooks."""
        self.lower()
        model, plan = self.model, self.plan
        if self.short_epochs():
            return
        self.epochs, self.updates = model.epochs, model.updates
        self.program.updates = model.updates  # a callback may have made some
        if self.due() and not model.optimizer.searches:  # which itself stays at good weights
            self.starts = [*self.starts[-1:], Start(model, self.program, self.reach)]
        epochs, flops = self.ahead(), 3 * model.flops() + ROW_FLOPS
        self.program.brief = not self.ranks and epochs * plan.n_rows * flops < team.BRIEF
        problem = spoilt = None
        self.sizes = []
        with uninterrupted():  # what is trained and what is counted belong together
            try:
                outcome = model.optimizer.run(
                    self.program,
                    model.all_parameters(),
                    self.loss,
                    n_rows=plan.n_rows,
                    epochs=epochs,
                    first_epoch=model.epochs,
                    backend=model.backend,
                    watch=self.watch if self.watched else None,
                    access=model.access,
                    pause=self.count,
                )
            except BaseException:
                self.count()
                if self.starts and not_finite(model, largest(model, self.reach)):
                    self.go_back()
                raise
            self.count()
            epochs = model.epochs - self.epochs
            if not outcome.finite:
                problem = self.blame(outcome.clock, self.done + epochs)
            elif self.starts and (self.due() or self.done + epochs == plan.epochs):
                self.sizes = largest(model, self.reach)
                spoilt = not_finite(model, self.sizes)
            if self.starts and (problem or spoilt):
                self.go_back()
                epochs = max(0, model.epochs - self.epochs)
        if spoilt:
            problem = f"an update in epoch {self.done + epochs} made {spoilt} not finite"
        with np.errstate(all="ignore"):
            losses = model.loss.reduced(outcome.sums[:, 0], outcome.sums[:, 1])
        penalty = model.penalty() if epochs else 0.0
        for epoch in range(epochs):
            self.end_epoch(float(losses[epoch]) + penalty, float(outcome.seconds[epoch]))
        model.stop_training |= outcome.ended
        if problem:
            raise FloatingPointError(f"{problem}. {_ADVICE}")

    def short_epochs(self) -> bool:
        """Train for the next epochs in one call of compiled code, or change nothing.

        The first epochs of a fit, and those that diverge, are left to those who look closer.
        """
        model, n_rows, epochs = self.model, self.plan.n_rows, min(self.ahead(), single.EPOCHS)
        if not (self.starts and is_short(model, self.program, n_rows, epochs)):
            return False
        if threads.own_shared() is not None and threads.stopped():
            return False
        if self.short is None:
            own = single.Single(self.program, n_rows, model.held().arrays, touched=self.reach)
            self.short = Short(model, self.program, own, bounds.magnitudes(self.plan.data))
        started = time.perf_counter()
        with uninterrupted(), model.access.closed():
            if self.short.train(_NONE, _NONE, epochs, epochs) is None:
                return False
            self.program.updates = model.updates
            self.starts = [*self.starts[-1:], Start(model, self.program, self.reach)]
        seconds, self.sizes = (time.perf_counter() - started) / epochs, self.short.sizes
        penalty = model.penalty()
        for loss in self.short.losses[:epochs]:
            self.end_epoch(float(loss) + penalty, seconds)
        return True

    def loss(self, total: float, weight: float) -> float:
        """Return the loss with penalties from the sums of weighted losses and of weights."""
        return float(self.model.loss.reduced(total, weight)) + self.model.penalty()

    def count(self) -> bool:
        """Count the updates so far, and whole epochs; return whether to go on after this epoch."""
        model, batches = self.model, -(-self.plan.n_rows // self.program.batch_size)
        model.epochs = self.epochs + (self.program.updates - self.updates) // batches
        model.updates = self.program.updates
        return not model.stop_training

    def go_back(self) -> None:
        """Return to the last good weights, and count the epochs and updates that made them."""
        model, n = self.model, self.plan.n_rows
        start, end = self.starts[-1], self.program.updates
        if end == start.updates and len(self.starts) > 1:  # the run before ended badly
            start, end = self.starts[0], start.updates
        with model.access.writing("fit"):
            try:
                if end > start.updates:
                    go_back(model, start, end - start.updates, n)
            except BaseException:  # Ctrl-C
                start.restore()
                raise
            finally:
                made = start.program.updates - start.updates
                model.updates = start.program.updates
                model.epochs = start.epoch + made // -(-n // start.program.batch_size)

    def verify(self) -> None:
        """Raise if the last update was bad, which the next batch would have noticed."""
        model, data = self.model, self.plan.data
        if not self.starts:
            return
        if not self.ranks and len(data) < _ROWS and model.settled and model.settled.holds(model):
            if self.watched or not self.sizes:  # callbacks may have changed them
                self.sizes = largest(model)
            if bounds.is_finite(model, *bounds.magnitudes(data), self.sizes):
                return
        how: dict[str, Any] = {"n_rows": self.plan.n_rows, "backend": self.program.backend}
        outcome = team.run(self.program, first_epoch=model.epochs, updates=0, **how)
        loss, weight = self.program.loss[0]
        if not outcome.finite:
            problem = self.blame(outcome.clock, self.done)
        elif bounds.is_far_from_infinite(model, loss, weight):
            return
        else:  # do other rows overflow?
            attributes.settle(model)  # the last callback may have changed them
            if math.isfinite(evaluation.Evaluator(model, data).loss()):
                return
            problem = f"the loss is not finite after epoch {self.done - 1}"
        with uninterrupted():
            self.go_back()
        raise FloatingPointError(f"{problem}. {_ADVICE}")

    def end(self) -> None:
        """Leave the program to later fits."""
        pool.give(self.kept)
        if self.validation is not None:
            self.validation.end()

    def blame(self, clock: np.ndarray, epoch: int) -> str:
        """Say where a loss that is not finite came from."""
        if np.isfinite(self.program.loss[0, 0]):
            return f"the gradient, or a penalty, is not finite in epoch {epoch}"
        rows = int(clock[Clock.ROWS])
        where = f"the loss {self.model.loss.name!r}"
        for number, (layer, out) in enumerate(zip(self.layers, self.outputs, strict=True)):
            if not np.isfinite(out[:rows]).all():
                where = f"layer {number} ({layer})"
                break
        return (
            f"the loss is not finite in epoch {epoch}, rows {clock[Clock.FIRST]} to "
            f"{clock[Clock.FIRST] + rows - 1}: it began in {where}"
        )

    def watch(self, _: int, rows: int, sums: np.ndarray) -> None:
        """Report the progress within an epoch to the hooks."""
        total, weight = map(float, sums[0])
        loss = self.model.loss.reduced(total, weight) if weight else float("nan")
        with np.errstate(**self.callers):
            self.hooks.on_progress(self.done, rows, self.plan.n_rows, loss)

    def end_epoch(self, loss: float, seconds: float) -> None:
        """Evaluate an epoch's weights, and tell the hooks."""
        model, data, validation = self.model, self.plan.data, self.plan.validation
        logs = {"loss": loss}
        logs |= evaluation.scored(model, data)
        logs |= {"seconds": seconds, "rows": self.plan.n_rows}
        if validation is not None and self.validation is not None:
            logs["val_loss"] = self.validation.loss()
            logs |= evaluation.scored(model, validation, "val_")
        self.logs = logs
        self.hooks.on_epoch_end(self.done, logs)
        self.done += 1


def kept(model: Model, plan: Plan) -> pool.Kept:
    """Return the program of the plan's epochs, made now or for an earlier fit."""
    model.keep_state()
    how = "training", plan.batch_size, plan.shuffle, *_threads(model, plan), plan.shards
    return pool.take(how, model, model.arrays_of(plan.data), lambda: lowered(model, plan))


@np.errstate(all="ignore")
def lowered(model: Model, plan: Plan) -> tuple[Program, list[np.ndarray]]:
    """Return the program of the plan's epochs, and the layers' outputs."""
    model.keep_state()
    batch_size, (threads, tried) = plan.batch_size or len(plan.data), _threads(model, plan)
    order, most = Order(plan.shuffle, model.seed), max(threads, tried)
    how = order, batch_size, most, plan.shards
    program, outputs = lowering.training(model, model.optimizer, plan.data, *how)
    program.threads, program.updates = threads, model.updates
    flops = 3 * model.flops() * batch_size
    program.on_trial = tried > 1 and flops < tried * cores.FLOPS_PER_CERTAIN
    return program, outputs


def _threads(model: Model, plan: Plan) -> tuple[int, int]:
    """Return how many threads are sure to pay, and how many to try."""
    rows, flops = plan.batch_size or len(plan.data), 3 * model.flops()
    told = plan.validation is not None or model.metrics
    together = 1 if told else plan.epochs
    sure = tried = 1
    if plan.shards and plan.shards.ranks:
        rows = max(1, rows // plan.shards.ranks.size)
    if flops * plan.n_rows * together >= cores.FLOPS_TO_START:
        sure = model.threads(rows, flops)
    alone = not (plan.shards and plan.shards.ranks)  # others would wait for a trial
    if alone and -(-plan.n_rows // rows) * together >= team.WORTH_A_TRIAL:
        tried = model.threads(rows, flops, cores.FLOPS_PER_TRIED)
    return sure, tried


def _targets(model: Model) -> tuple[str, int]:
    """Return what the loss wants y to hold."""
    return model.loss.target, model.loss.n_targets(model.n_outputs)


def log_names(model: Model, validated: bool) -> list[str]:
    """Return the names of the entries in an epoch's logs."""
    names = ["loss", *(metric.name for metric in model.metrics)]
    return [*names, *SPEED, *(f"val_{name}" for name in names if validated)]
