"""Programs can be read: the listing, the times of its steps, the code that is generated."""

import copy
import inspect
import traceback
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import TypingError

import fastnn
from fastnn import GD, SGD, Adam, BatchNormalization, Dense, Network
from fastnn.engine.arguments import Whole
from fastnn.engine.clock import Clock, Shared
from fastnn.engine.program import Program
from fastnn.engine.steps import Step
from fastnn.engine.worker import compile_worker, work
from fastnn.kernels.jit import defined, njit
from fastnn.training.explaining import Explanation, _times
from tests.walkthrough import PAGE, PICTURE, explanation, page, picture

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 20)), RNG.standard_normal((60, 1))


def network(*, hidden=16, **settings):
    return Network([Dense(hidden, "relu"), Dense(1)], **({"n_threads": 1} | settings))


def kernels(explained: Explanation):
    return [step.kernel for step in explained.steps]


def line(explained, kernel):
    """Return the first line of a kernel."""
    return next(step for step in explained.steps if step.kernel == kernel)


def state(network):
    """Return all that training changes."""
    model = copy.deepcopy(network.model)
    return repr(
        [
            [(p.name, p.value.tobytes(), {k: s.tobytes() for k, s in p.state.items()}) for p in ps]
            for ps in model.parameters
        ]
    ) + repr((model.built, model.epochs, model.updates, model.optimizer))


def test_the_page_shows_the_listing_as_it_is():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.walkthrough"
    assert PICTURE.read_text(encoding="utf-8") == picture(), "run python -m tests.walkthrough"


def test_the_page_explains_every_kernel_of_the_listing():
    text = Path(PAGE).read_text(encoding="utf-8")
    after = text[text.index("<!-- listing:end -->") :]
    for kernel in kernels(explanation()):
        assert f"`{kernel.removeprefix('& ')}`" in after, kernel


def test_the_listing_of_a_small_network():
    text = str(network().explain(X, Y, batch_size=10))
    first, header, *lines = text.splitlines()
    assert first == "A batch: 10 rows, float32, 1 thread, 17 steps, 2 barriers"
    assert max(map(len, lines)) <= 100 and text.isascii()
    assert sum("---  barrier" in line for line in lines) == 2
    assert "forward, layer 0: Dense(16, activation='relu')" in lines
    column = header.index("arrays")
    found = next(line for line in lines if "dense_forward" in line)
    assert found[column:] == "x (10,20) own, w (20,16) whole, b (16,) whole, out (10,16)"
    assert found.split()[:4] == ["0", "dense_forward", "batch", "rows"]


def test_how_threads_share_steps():
    layers = [Dense(256, "relu"), BatchNormalization(), Dense(1)]
    wide = np.ones((60, 200))
    two = Network(layers, n_threads=2).explain(wide, Y, batch_size=10)
    assert line(two, "dense_forward").threads == "256 columns"  # of a wide first layer
    assert "w (200,256) columns" in line(two, "dense_forward").arrays
    assert line(two, "batch_moments").threads == "256 columns"
    assert line(two, "mse_forward").threads == "batch rows"
    assert line(two, "batch_loss").threads == line(two, "(check)").threads == "nothing"
    one = network(optimizer="adam", hidden=1024).explain(np.ones((60, 512)), Y)
    assert line(one, "matmul_tn").threads == "512 rows in 4 parts"
    assert line(one, "& adam_update").threads == "512 rows in 4 parts"


def test_arrays_say_where_they_lie_and_what_they_hold():
    explained = network().explain(np.float32(X), np.float32(Y), batch_size=10, shuffle=False)
    assert "x (10,20) in place" in line(explained, "dense_forward").arrays
    assert "gather_rows" not in kernels(explained)
    labels = Network([Dense(3, "softmax")], loss="softmax_cross_entropy", dtype="float64")
    explained = labels.explain(X, RNG.integers(3, size=60))
    target = line(explained, "softmax_cross_entropy_forward").arrays
    assert "target (32,) int64" in target and "float64" not in target


def test_the_arguments_are_those_of_fit():
    weighted = network().explain(X, Y, sample_weight=np.ones(60))
    assert kernels(weighted).count("gather") == 1 + kernels(network().explain(X, Y)).count("gather")
    whole = network(optimizer=GD()).explain(np.float32(X), np.float32(Y))
    assert "A batch: 60 rows" in str(whole) and "gather_rows" not in kernels(whole)
    assert "A batch: 60 rows" in str(network().explain(X, Y, batch_size=1000))
    for bad, message in [
        (dict(X=X[:5], y=Y), "y"),
        (dict(X=X, y=Y, batch_size=0), "batch_size"),
        (dict(X=X, y=Y, sample_weight=np.zeros(60)), "sample_weight"),
    ]:
        with pytest.raises(ValueError, match=message):
            network().explain(**bad)
    with pytest.raises(TypeError, match="measure"):
        network().explain(X, Y, measure="yes")
    with pytest.raises(ValueError, match="numpy"):
        network(backend="numpy").explain(X, Y, measure=True)
    assert kernels(network(backend="numpy").explain(X, Y)) == kernels(network().explain(X, Y))


@pytest.mark.parametrize("measure", [False, True])
@pytest.mark.parametrize("trained", [False, True])
def test_the_network_stays_as_it_is(measure, trained, monkeypatch):
    monkeypatch.setattr("fastnn.training.explaining._ROUND_SECONDS", 1e-3)
    chosen = {"optimizer": Adam(0.01), "preprocessing": "standardize", "metrics": ["mae"]}
    one, other = network(**chosen), network(**chosen)
    if trained:
        one.fit(X, Y, epochs=2)
        other.fit(X, Y, epochs=2)
    before = state(one)
    one.explain(X, Y, batch_size=7, measure=measure)
    assert state(one) == before
    assert one.fit(X, Y).history["loss"] == other.fit(X, Y).history["loss"]
    assert state(one) == state(other)


def test_every_cycle_of_a_run_belongs_to_a_step_or_to_a_barrier():
    program = network(hidden=64).explain(X, Y, batch_size=10).program
    table, shared = program.table.steps, np.zeros(Shared.SIZE, np.int64)
    compile_worker(counts=True)
    clock, stamps = np.zeros(len(Clock), np.int64), np.zeros(401, np.int64)
    clock[[Clock.N_THREADS, Clock.TOTAL_ROWS, Clock.BATCHES]] = 1, 60, -1
    sums, cycles = np.zeros((400, 2)), np.zeros(len(table) + 1, np.int64)
    work(table, clock, shared, program.loss[0], sums, stamps, 10, cycles)
    assert clock[Clock.UPDATE] == 400 * 6
    assert (cycles > 0).all()
    assert 0.9 < cycles.sum() / (stamps[-1] - stamps[0]) <= 1


def test_times_are_those_of_an_epoch():
    program = network().explain(X, Y, batch_size=10).program
    cycles = np.full((1, len(program.table.steps) + 1), 10**12)
    cycles[0, 0] *= 2
    times = _times(program, cycles, seconds=8.0, epochs=4, batches=6)
    assert times.total == pytest.approx(2.0, rel=1e-6)
    assert times.steps[0] == pytest.approx(2 * times.barriers, rel=1e-6)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_times_are_shown(n_threads):
    explained = network(n_threads=n_threads).explain(X, Y, batch_size=10, measure=True)
    assert all(step.seconds >= 0 for step in explained.steps) and explained.barriers >= 0
    total = sum(step.seconds for step in explained.steps) + explained.barriers
    text = str(explained)
    assert max(map(len, text.splitlines())) <= 100
    *_, everything, barriers = [x for x in text.splitlines() if x.startswith(("all", "barriers"))]
    cells = float(everything.split()[-1]), float(barriers.split()[-1])
    assert sum(cells) == pytest.approx(1e6 * total / 6, abs=0.02)
    assert f"`fit` takes {1e3 * explained.epoch:.2f} ms" in text
    assert f"add up to {1e3 * total:.2f} ms" in text
    assert ("the mean of 2 threads" in text) == (n_threads == 2)
    found = next(each for each in text.splitlines() if " dense_forward" in each).split()
    seconds = line(explained, "dense_forward").seconds
    assert float(found[0]) == pytest.approx(1e6 * seconds / 6, abs=0.006)
    assert float(found[1].rstrip("%")) == pytest.approx(100 * seconds / total, abs=0.06)


def test_a_loss_that_is_not_finite_cannot_be_measured():
    wild = network(optimizer=SGD(1e30))
    with pytest.raises(FloatingPointError, match="not finite"), np.errstate(all="ignore"):
        wild.explain(X, Y, measure=True)
    assert not wild.built


def test_a_custom_loss_is_explained():
    assert "custom_forward" in kernels(custom().explain(X, Y))


def custom():
    forward, backward = njit(_absolute, cached=False), njit(_sign, cached=False)
    return Network([Dense(1)], loss=fastnn.losses.Custom(forward, backward))


def _absolute(prediction, target):
    return abs(prediction[0] - target[0])


def _sign(prediction, target, d):
    d[0] = 1.0 if prediction[0] > target[0] else -1.0


def test_a_program_prints_itself():
    program = Program("float32", 4, 1)
    program.add("relu_forward", Whole(np.ones((4, 2), np.float32)), 0.0, program.buffer(2).batch)
    assert "relu_forward" in str(program) and "phase" in str(program)


def test_the_code_of_a_step_can_be_seen():
    explained = network().explain(X, Y)
    assert "dense_forward_float32(i, f, c)" in explained.code
    assert explained.code.count("def dense_forward_float32") == 1  # of two layers
    array = np.ones(4, np.float32)
    step = Step("sgd_update", (0.5, Whole(array), Whole(array)), 1)
    assert step.code == (
        "def sgd_update_float32(i, f, c):\n"
        "    lo, hi = share(i[0], c[PART], c[PARTS])\n"
        "    if lo < hi:\n"
        "        kernel(\n"
        "            f[0],  # rate\n"
        "            vector(i[1], i[2], dtype0),  # dw\n"
        "            vector(i[3], i[4], dtype0),  # w\n"
        "        )\n"
    )
    assert inspect.getsource(step.compiled().__wrapped__) == step.code


def test_generated_lines_stand_in_tracebacks_and_in_messages_of_numba():
    failing = defined("def failing(x):\n    return x.nowhere  # a line of its own\n", {})
    try:
        failing(1)
    except AttributeError:
        assert "return x.nowhere  # a line of its own" in traceback.format_exc()
    with pytest.raises(TypingError, match="return x.nowhere"):
        njit(failing, cached=False)(1)
    other = defined("def failing(x):\n    return x.elsewhere\n", {})
    assert "nowhere" in inspect.getsource(failing) and "elsewhere" in inspect.getsource(other)
