"""Kill and interrupt training, saving and the rest at random moments: nothing may be lost or torn.

``python -m tests.kills --kills 200 --interrupts 300`` prints what it did and its seed, and exits
with 1 at the first thing that is wrong; ``--seed`` repeats the moments.
"""

import argparse
import concurrent.futures
import io
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import fastnn
from fastnn import ModelCheckpoint
from fastnn.engine import cores
from tests import long_runs
from tests.trajectories import EPOCHS, OPTIONS, X, Y, fresh, state, trained_pair, trajectory

# Moments


class Moment:
    """When to interrupt: at the n-th call or return of the main thread, or after some time."""

    def __init__(self, call=None, seconds=None):
        self.call, self.seconds, self.calls, self.over = call, seconds, 0, False

    def __str__(self):
        return f"call {self.call}" if self.seconds is None else f"{1e3 * self.seconds:.3f} ms"

    def _profile(self, frame, event, _):
        if self.over or event not in ("call", "c_return"):  # where Python looks for signals
            return
        self.calls += 1
        if self.calls == self.call:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    def _alarm(self, *_):
        if not self.over:
            signal.raise_signal(signal.SIGINT)

    def interrupt(self, job):
        """Run a job, interrupted at this moment; return whether that came before its end."""
        handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGALRM: self._alarm}
        before = [signal.signal(*each) for each in handlers.items()]
        try:
            if self.seconds is None:
                sys.setprofile(self._profile)
            else:
                signal.setitimer(signal.ITIMER_REAL, self.seconds)
            job()
            self.over = True  # what comes now is not the job's
            return False
        except KeyboardInterrupt:
            return True
        finally:
            self.over = True
            sys.setprofile(None)
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in zip((signal.SIGINT, signal.SIGALRM), before, strict=True):
                signal.signal(number, handler)


class Terminal(io.StringIO):
    def isatty(self):
        return True


# What is interrupted: each returns a job, and what checks the results


def quiet(folder, name="quiet"):
    whole = trajectory(name)
    network = whole.make()
    return lambda: network.fit(X, Y, epochs=EPOCHS, **OPTIONS), lambda: whole.check(network)


def reference(folder):
    return quiet(folder, "reference")


def watched(folder):
    whole, path, out = trajectory("watched"), folder / "watched", Terminal()
    network = whole.make()
    network.metrics = fresh(metrics=["mae"]).metrics

    def job():
        hooks = [ModelCheckpoint(path), lambda epoch, logs: None]
        given, sys.stdout = sys.stdout, out
        try:
            network.fit(
                X, Y, epochs=EPOCHS, validation_data=(X, Y), callbacks=hooks, verbose=1, **OPTIONS
            )
        finally:
            sys.stdout = given

    def check():
        if network.epochs_done < EPOCHS:  # or the very end of the line may be interrupted
            assert out.getvalue()[-1:] in ("", "\n"), "the terminal's line does not end"
        if path.exists():
            loaded = fastnn.load(path)
            assert loaded.epochs_done in (network.epochs_done, network.epochs_done - 1)
            whole.check(loaded)
            path.unlink()
        network.metrics = []
        whole.check(network)

    return job, check


def lbfgs(folder):
    whole = trajectory("lbfgs")
    network = whole.make()
    return lambda: network.fit(X, Y, epochs=EPOCHS), lambda: whole.check(network)


def another_optimizer(folder):
    network, twin = trajectory("quiet").make(), fresh("rmsprop")
    network.fit(X, Y, epochs=2, **OPTIONS)
    begun, weights = state(network), network.get_weights()
    network.optimizer = fastnn.optimizers.get("rmsprop")

    def check():
        if state(network) == begun or network.model.updates == 0:
            network.fit(X, Y, epochs=EPOCHS - network.epochs_done, **OPTIONS)
            twin.build(3)
            twin.set_weights(weights)
            twin.model.epochs = 2
            twin.fit(X, Y, epochs=EPOCHS - 2, **OPTIONS)
            assert state(network) == state(twin), "the optimizer's state is another"

    return lambda: network.fit(X, Y, epochs=EPOCHS - 2, **OPTIONS), check


def many(folder):
    wholes = [trajectory("many", seed) for seed in range(3)]
    networks = [whole.make() for whole in wholes]

    def check():
        for whole, network in zip(wholes, networks, strict=True):
            whole.check(network)

    return lambda: fastnn.fit_many(networks, X, Y, epochs=EPOCHS, n_threads=2, **OPTIONS), check


class Inline:
    """An executor without threads: a job is done, from its pickle, when it is sent."""

    def submit(self, *job):
        function, *arguments = pickle.loads(pickle.dumps(job))
        future = concurrent.futures.Future()
        future.set_result(function(*arguments))
        return future


def elsewhere(folder):
    wholes = [trajectory("many", seed) for seed in range(3)]
    networks = [whole.make() for whole in wholes]
    kept, tempfile.tempdir = tempfile.tempdir, str(folder)

    def check():
        tempfile.tempdir = kept
        assert not os.listdir(folder), f"left {os.listdir(folder)}"
        for whole, network in zip(wholes, networks, strict=True):
            assert network.epochs_done in (0, EPOCHS), "a network came back in parts"
            whole.check(network)

    options = {"epochs": EPOCHS, "executor": Inline(), **OPTIONS}
    return lambda: fastnn.fit_many(networks, X, Y, **options), check


def set_weights(folder):
    network = fresh()
    network.build(3)
    before, after = network.get_weights(), fresh(seed=2)
    after.build(3)
    after = after.get_weights()

    def check():
        found = [array.tobytes() for array in network.get_weights()]
        sides = [[array.tobytes() for array in side] for side in (before, after)]
        assert found in sides, "some weights are new and some old"

    return lambda: network.set_weights(after), check


def predict(folder):
    network, x = fresh(), np.repeat(X, 200, axis=0)
    network.build(3)
    expected = network.predict(x)

    def check():
        assert np.array_equal(network.predict(x), expected)

    return lambda: network.predict(x), check


def save(folder):
    path, (old, new) = folder / "saved", trained_pair()
    old.save(path)

    def check():
        assert state(fastnn.load(path)) in (state(old), state(new)), "the file is neither"
        new.save(path)
        assert state(fastnn.load(path)) == state(new)
        assert os.listdir(folder) == ["saved"], f"left {os.listdir(folder)}"
        path.unlink()

    return lambda: new.save(path), check


def load(folder):
    path, (old, _) = folder / "loaded", trained_pair()
    old.save(path)

    def check():
        assert state(fastnn.load(path)) == state(old)
        path.unlink()

    return lambda: fastnn.load(path), check


JOBS = (
    *(quiet, reference, watched, another_optimizer, many, elsewhere, set_weights, predict, save),
    *(load, lbfgs),
)


def interrupt(rng, jobs, count, folder):
    """Interrupt the jobs at `count` random moments; return how many came before the job's end."""
    lengths, hits = {}, 0
    for job in jobs:
        for _ in range(2):  # the first time also compiles
            run, check = job(folder)
            moment, started = Moment(call=-1), time.perf_counter()
            moment.interrupt(run)
            lengths[job] = moment.calls, time.perf_counter() - started
            check()
    for number in range(count):
        job, timed = jobs[number % len(jobs)], number // len(jobs) % 2
        calls, seconds = lengths[job]
        if timed:
            moment = Moment(seconds=rng.uniform(1e-5, max(2e-5, seconds)))
        else:
            moment = Moment(call=int(rng.integers(1, calls + 1)))
        run, check = job(folder)
        try:
            hits += moment.interrupt(run)
            check()
            assert threading.active_count() == 1, "a thread is left"
            assert cores.unused() == cores.available(), "a run is still counted"
        except BaseException as error:
            error.add_note(f"{job.__name__}, interrupted at {moment}")
            raise
    return hits


# Killed processes


def kill(rng, job, seconds):
    """Run a job in a fork, and kill it at a random moment; return whether that was before its end.

    The job gets a function to call when what may be interrupted begins.
    """
    reads, writes = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            job(lambda: os.write(writes, b"!"))
            status = 0
        finally:
            os._exit(status)
    os.close(writes)
    os.read(reads, 1)
    os.close(reads)
    time.sleep(rng.uniform(0, seconds))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the job itself failed"
    return os.WIFSIGNALED(status)


def kill_fits(rng, count, folder):
    """Kill fits that write checkpoints, and go on; return how many had written another one."""
    whole, path, hits, done = trajectory("quiet"), folder / "checkpoint", 0, 0
    ends = {epoch: whole.at_end(epoch) for epoch in range(1, EPOCHS + 1)}

    def job(begin):
        network = fastnn.load(path) if path.exists() else whole.make()
        begin()
        left = EPOCHS - network.epochs_done
        network.fit(X, Y, epochs=left, callbacks=[ModelCheckpoint(path)], **OPTIONS)

    started = time.perf_counter()
    whole.make().fit(X, Y, epochs=EPOCHS, callbacks=[ModelCheckpoint(path)], **OPTIONS)
    seconds = time.perf_counter() - started
    path.unlink()
    for _ in range(count):
        killed = kill(rng, job, seconds)
        left = [name for name in os.listdir(folder) if name != path.name]
        assert len(left) <= 1, f"several temporary files: {left}"
        network = fastnn.load(path) if path.exists() else None
        if network is None or network.epochs_done == done:
            seconds *= 2  # a fork on a busy machine needs longer than the fit above
        if network is None:
            assert killed and not done, "the checkpoint is gone"
            continue
        assert network.epochs_done >= done, "the checkpoint is an older one"
        hits += network.epochs_done > done
        done = network.epochs_done
        assert state(network) == ends[done], f"epoch {done} is not what it is without interruption"
        if done == EPOCHS:
            network.save(path)
            assert os.listdir(folder) == [path.name], f"left {os.listdir(folder)}"
            path.unlink()
            done = 0
    network = fastnn.load(path) if path.exists() else whole.make()
    if left := EPOCHS - network.epochs_done:
        network.fit(X, Y, epochs=left, callbacks=[ModelCheckpoint(path)], **OPTIONS)
    assert state(network) == whole.last, "the resumed fit ends differently"
    return hits


def kill_saves(rng, count, folder):
    """Kill processes that save one network, then another; return how many were killed."""
    path, pair, hits = folder / "saved", trained_pair(), 0
    pair[0].save(path)
    allowed = [state(network) for network in pair]

    def job(begin):
        begin()
        for _ in range(1000):
            for network in reversed(pair):
                network.save(path)

    for _ in range(count):
        hits += kill(rng, job, 0.01)
        assert state(fastnn.load(path)) in allowed, "the file is neither"
        assert len(os.listdir(folder)) <= 2, f"several temporary files: {os.listdir(folder)}"
    pair[0].save(path)
    assert os.listdir(folder) == [path.name], f"left {os.listdir(folder)}"
    path.unlink()
    return hits


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("--kills", 200), ("--interrupts", 300)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    rng = np.random.default_rng(arguments.seed)
    threads_for = cores.threads_for  # as many threads as are asked for, however small the work
    cores.threads_for = lambda flops, rows, most=None, worth=None: threads_for(flops, rows, most, 1)
    with tempfile.TemporaryDirectory() as name:
        hits = kill_fits(rng, arguments.kills // 2, folder := Path(name))
        (folder / "checkpoint").unlink()
        print(f"{arguments.kills // 2} kills of fits, {hits} after a new checkpoint", flush=True)
        hits = kill_saves(rng, arguments.kills - arguments.kills // 2, folder)
        print(f"{arguments.kills - arguments.kills // 2} kills of saves, {hits} before their end")
        hits = interrupt(rng, JOBS, arguments.interrupts, folder)
        print(f"{arguments.interrupts} interrupts of {len(JOBS)} jobs, {hits} before their end")
    how = " ".join(f"--{name} {value}" for name, value in vars(arguments).items())
    counts = {name: getattr(arguments, name) for name in ("kills", "interrupts")}
    long_runs.record("kills", f"python -m tests.kills {how}", counts)
    print("nothing lost, nothing torn")


if __name__ == "__main__":
    main()
