"""Fits in shards: the same bits for any number of processes, which are threads here."""

import copy
import threading

import numpy as np
import pytest

import fastnn
import fastnn.engine.identity
from fastnn.engine.exchange import RankError
from fastnn.engine.shards import Shards, own_shards
from fastnn.training import loop, sharing
from tests import ranks

N, INPUTS = 103, 7
RNG = np.random.default_rng(5)
X = RNG.standard_normal((N, INPUTS)).astype(np.float32)
X[:, 2] += 50
Y = np.tanh(X[:, :2] - X[:, 3:5])
MORE = RNG.standard_normal((21, INPUTS)).astype(np.float32)
LABELS = (X[:, 0] > 0) + 1 * (X[:, 1] > 0)

NETWORKS = {
    "dense": ([fastnn.Dense(9, "relu"), fastnn.Dense(2)], fastnn.SGD(0.01, momentum=0.9)),
    "normalized": (
        [fastnn.Dense(9), fastnn.BatchNormalization(), fastnn.Activation("tanh"), fastnn.Dense(2)],
        fastnn.SGD(0.01),
    ),
    "clipped": ([fastnn.Dense(9, "tanh"), fastnn.Dense(2)], fastnn.SGD(0.1, global_clipnorm=0.1)),
    "dropped": (
        [fastnn.Dense(9, "relu", drop_connect=0.2), fastnn.Dropout(0.3), fastnn.Dense(2)],
        fastnn.Adam(0.01),
    ),
    "others": (
        [
            fastnn.PeriodicEmbedding(2, 3),
            fastnn.Dense(9),
            fastnn.LayerNormalization(),
            fastnn.ParametricActivation("relu"),
            fastnn.Scale(),
            fastnn.Dense(2, kernel_regularizer="l1"),
        ],
        fastnn.AdamW(0.01),
    ),
}


def network(name, **settings):
    layers, optimizer = copy.deepcopy(NETWORKS[name])
    return fastnn.Network(layers, **{"optimizer": optimizer, **settings})


def bits(model):
    return [array.tobytes() for array in model.get_weights()]


def fit(model, communicator=None, x=X, y=Y, **options):
    options = {"epochs": 3, "batch_size": 20, "shards": 8, **options}
    return model.fit(x, y, communicator=communicator, **options)


@pytest.mark.parametrize("name", NETWORKS)
def test_any_number_of_processes_and_threads_makes_the_same_bits(name, monkeypatch):
    alone, kept, found = network(name), loop.kept, set()

    def keep(model, plan):
        program = kept(model, plan)
        found.add((plan.shards.last - plan.shards.first, program.program.threads))
        return program

    monkeypatch.setattr(loop, "kept", keep)
    history = fit(alone, validation_data=(MORE, MORE[:, :2]))
    for size, n_threads in ((1, 2), (2, 1), (4, 2)):

        def job(communicator, n_threads=n_threads):
            model = network(name, n_threads=n_threads)
            own = fit(model, communicator, validation_data=(MORE, MORE[:, :2]))
            return bits(model), own.history

        for rank in ranks.run(size, job):
            assert rank == (bits(alone), history.history), size
    assert found == {(8, 1), (8, 2), (4, 1), (2, 2)}


@pytest.mark.parametrize("name", [each for each in NETWORKS if each != "dropped"])
def test_shards_train_as_one_batch_does(name):
    """All rows in one batch: the sums are those of a fit without shards, but for rounding."""
    plain, cut = network(name), network(name)
    losses = plain.fit(X, Y, epochs=4, batch_size=N, shuffle=False).history["loss"]
    found = fit(cut, epochs=4, batch_size=N, shards=5).history["loss"]
    np.testing.assert_allclose(found, losses, rtol=1e-4)
    for one, other in zip(plain.get_weights(), cut.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)


def test_the_twins_agree():
    one, other = (network("normalized", backend=each) for each in ("numba", "numpy"))
    for model in (one, other):
        fit(model, epochs=2)
    for mine, twin in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(mine, twin, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cuts", [(0, 50, 103), (0, 11, 40, 41, 103)])
@pytest.mark.parametrize(
    "options",
    [
        {"validation_split": 0.2, "sample_weight": RNG.random(N)},
        {"validation_split": 0.2, "validation_shuffle": False, "shuffle": False},
        {"validation_data": (MORE, MORE[:, :2]), "drop_last": True},
    ],
)
def test_ranks_may_have_other_rows_each(cuts, options):
    """Together they are the rows of one process, in order of the ranks."""

    def run(communicator=None):
        rank, size = (communicator.Get_rank(), len(cuts) - 1) if communicator else (0, 1)
        rows = slice(cuts[rank], cuts[rank + 1]) if communicator else slice(None)
        own = dict(options)
        if "sample_weight" in own:
            own["sample_weight"] = own["sample_weight"][rows]
        if "validation_data" in own:
            own["validation_data"] = [each[rank::size] for each in own["validation_data"]]
        model = network("dense", preprocessing=["standardize", "pca"], metrics=["r2", "mae"])
        return model, fit(model, communicator, X[rows], Y[rows], **own).history

    def job(communicator):
        model, history = run(communicator)
        return bits(model), history, bits_of_preprocessing(model)

    if "validation_data" in options:  # in the order in which the ranks have them
        order = np.argsort(np.arange(len(MORE)) % (len(cuts) - 1), kind="stable")
        alone_options = [each[order] for each in options["validation_data"]]
        model = network("dense", preprocessing=["standardize", "pca"], metrics=["r2", "mae"])
        history = fit(model, **{**options, "validation_data": alone_options}).history
    else:
        model, history = run()
    for found in ranks.run(len(cuts) - 1, job):
        assert found == (bits(model), history, bits_of_preprocessing(model))


def bits_of_preprocessing(model):
    return [array.tobytes() for array in model.preprocessing.state().values()]


def test_classes_are_balanced_over_all_ranks():
    def run(communicator=None, rows=slice(None)):
        layers = [fastnn.Dense(9, "relu"), fastnn.Dense(3, "softmax")]
        model = fastnn.Network(layers, loss="softmax_cross_entropy", metrics=["accuracy"])
        how = {"class_weight": "balanced", "validation_split": 0.3}
        history = fit(model, communicator, X[rows], LABELS[rows], **how)
        return bits(model), history.history

    def job(communicator):
        return run(communicator, slice(0, 30) if communicator.Get_rank() == 0 else slice(30, N))

    assert ranks.run(2, job) == [run()] * 2
    assert ranks.run(2, run) == [run()] * 2


def test_a_later_fit_goes_on_with_other_ranks(tmp_path):
    whole = network("dropped")
    fit(whole, epochs=5)
    path = tmp_path / "net.fastnn"

    def first(communicator):
        hook = fastnn.callbacks.ModelCheckpoint(path)
        fit(network("dropped"), communicator, epochs=2, callbacks=hook)

    def second(communicator):
        model = fastnn.load(path)
        fit(model, communicator, epochs=3)
        return bits(model)

    assert ranks.run(4, first) == [None] * 4
    assert ranks.run(2, second) == [bits(whole)] * 2


def test_ranks_agree_anew_on_how_many_epochs_to_train_at_once(monkeypatch):
    asked, state = [], sharing.state
    monkeypatch.setattr(sharing, "state", lambda model: asked.append(model) or state(model))

    class Seldom(fastnn.Callback):
        most = 1

        def epochs_at_once(self):
            return self.most

        def on_epoch_end(self, epoch, logs):
            self.most = 100

    def job(communicator):
        return len(fit(network("dense"), communicator, epochs=9, callbacks=Seldom()).epoch)

    assert ranks.run(2, job) == [9, 9]
    assert len(asked) == 2 * 2  # before the first epoch, and before all others


def test_settings_may_change_within_a_fit():
    """Then the plan is checked again: against the rows of all ranks."""

    def job(communicator=None):
        model = network("dense")

        def hook(epoch, logs):
            model.optimizer.learning_rate = 0.001

        fit(model, communicator, batch_size=90, drop_last=True, callbacks=hook)
        return bits(model)

    assert ranks.run(4, job) == [job()] * 4


def test_all_ranks_stop_together():
    def job(communicator):
        model = network("dense")

        def hook(epoch, logs):
            model.stop_training = epoch == 1 and communicator.Get_rank() == 1

        hooks = hook if communicator.Get_rank() == 1 else None
        return len(fit(model, communicator, epochs=9, callbacks=hooks).history["loss"])

    assert ranks.run(2, job) == [2, 2]


@pytest.mark.parametrize(
    "what, name",
    [
        ({"seed": 1}, "seed"),
        ({"dtype": "float64"}, "dtype"),
        ({"optimizer": fastnn.SGD(0.5)}, "optimizer"),
        ({"loss": "mae"}, "loss"),
        ({"layers": [fastnn.Dense(8, "relu"), fastnn.Dense(2)]}, "layers[0]"),
        ({"preprocessing": "center"}, "preprocessing"),
        ({"metrics": "mae"}, "metrics"),
        ({"epochs": 4}, "epochs"),
        ({"batch_size": 4}, "batch_size"),
        ({"shards": 4}, "shards"),
        ({"shuffle": False}, "shuffle"),
        ({"sample_weight": np.ones(N)}, "sample_weight"),
        ({"x": X.astype(np.float64)}, "dtype of X"),
        ({"x": X[:, :5]}, "columns of X"),
    ],
)
def test_ranks_that_differ_are_refused(what, name):
    def job(communicator):
        own = what if communicator.Get_rank() == 1 else {}
        settings = {k: own[k] for k in own if hasattr(fastnn.Network, k) or k == "layers"}
        layers, optimizer = NETWORKS["dense"]
        model = fastnn.Network(**{"layers": layers, "optimizer": optimizer, **settings})
        with pytest.raises(ValueError) as caught:
            fit(model, communicator, **{k: own[k] for k in own if k not in settings})
        assert not model.epochs_done
        return str(caught.value)

    for message in ranks.run(2, job):
        assert f"{name} is " in message and "in rank 1" in message and "in rank 0" in message


def test_other_weights_are_refused():
    def job(communicator):
        model = network("dense")
        model.build(INPUTS)
        if communicator.Get_rank():
            model.set_weights([2 * each for each in model.get_weights()])
        return fit(model, communicator)

    for found in ranks.run(2, job):
        assert isinstance(found, ValueError) and "weights is" in str(found)


def test_other_versions_and_processors_are_refused(monkeypatch):
    identity = fastnn.engine.identity.identity
    here = threading.local()
    monkeypatch.setattr(
        fastnn.engine.identity, "identity", lambda: {**identity(), **getattr(here, "other", {})}
    )
    for other in ({"instructions": "avx2"}, {"Numba": "0.1"}, {"fastnn": "0.9"}):

        def job(communicator, other=other):
            here.other = other if communicator.Get_rank() else {}
            return fit(network("dense"), communicator)

        for found in ranks.run(2, job):
            assert isinstance(found, ValueError) and "would compute other bits" in str(found)
            assert next(iter(other)) in str(found)


def test_what_one_rank_raises_the_others_hear():
    def bad(communicator):
        y = Y.copy()
        y[5] = np.nan if communicator.Get_rank() == 2 else 0
        return fit(network("dense"), communicator, y=y)

    def raising(communicator):
        def hook(epoch, logs):
            if epoch == 1 and communicator.Get_rank() == 2:
                raise ZeroDivisionError("of the user")

        return fit(network("dense"), communicator, epochs=50, callbacks=hook)

    for job, kind, text in (
        (bad, ValueError, "y has"),
        (raising, ZeroDivisionError, "of the user"),
    ):
        found = ranks.run(4, job)
        assert type(found.pop(2)) is kind
        for other in found:
            assert isinstance(other, RankError) and text in str(other)
            assert str(other).startswith(f"rank 2 left the fit: {kind.__name__}")


def test_weights_that_a_callback_changes_on_one_rank_are_noticed():
    def job(communicator):
        model = network("dense")

        def hook(epoch, logs):
            if communicator.Get_rank():
                model.optimizer.learning_rate = 0.3

        return fit(model, communicator, callbacks=hook)

    for found in ranks.run(2, job):
        assert isinstance(found, ValueError) and "optimizer is SGD" in str(found)


def test_a_rank_that_never_comes_ends_the_wait(monkeypatch):
    monkeypatch.setenv("FASTNN_RANK_TIMEOUT", "0.5")

    def job(communicator):
        if communicator.Get_rank():
            return None
        return fit(network("dense"), communicator)

    found, _ = ranks.run(2, job)
    assert isinstance(found, RankError) and "rank 0 has waited 0.5 s" in str(found)


def test_all_go_back_from_a_loss_that_is_not_finite():
    def job(communicator=None):
        model = network("dense", optimizer=fastnn.SGD(1e18))
        with pytest.raises(FloatingPointError):
            fit(model, communicator)
        return bits(model), model.model.updates

    assert ranks.run(2, job) == [job()] * 2


@pytest.mark.parametrize(
    "size, options, message",
    [
        (3, {}, "there are 3 ranks, wanted 1, 2, 4"),
        (4, {"shards": 2}, "there are 4 ranks"),
        (2, {"shards": 0}, "shards is 0"),
        (2, {"shards": 200}, "there are 103 rows to train on"),
    ],
)
def test_numbers_of_shards_and_ranks(size, options, message):
    def job(communicator):
        return fit(network("dense"), communicator, **options)

    for found in ranks.run(size, job):
        assert isinstance(found, ValueError | RankError) and message in str(found)


def test_what_shards_cannot_do_is_refused():
    table = fastnn.Network([fastnn.Embedding(3, 2, columns=[0]), fastnn.Dense(2)])
    with pytest.raises(ValueError, match=r"layers\[0\] is Embedding"):
        table.fit(np.abs(X).round() % 3, Y, shards=4)
    with pytest.raises(ValueError, match="optimizer is LBFGS"):
        network("dense", optimizer="lbfgs").fit(X, Y, shards=4)
    with pytest.raises(TypeError, match="communicator is 7"):
        network("dense").fit(X, Y, communicator=7)

    def job(communicator):
        rows = slice(0, 60) if communicator.Get_rank() else slice(60, N)
        model = network("dense", preprocessing="robust_scale")
        return fit(model, communicator, X[rows], Y[rows])

    for found in ranks.run(2, job):
        assert isinstance(found, ValueError) and "RobustScale" in str(found)


@pytest.mark.parametrize("count", [1, 3, 8, 16, 21])
def test_ranks_have_nodes_of_the_tree(count):
    size = 1
    while size <= count:
        found = [own_shards(count, rank, size) for rank in range(size)]
        assert [begin for begin, _ in found] == [0, *(end for _, end in found[:-1])]
        assert found[-1][1] == count and all(begin < end for begin, end in found)
        rows = [Shards(count, 103, *each).rows for each in found]
        assert sum(each.stop - each.start for each in rows) == 103
        size *= 2


def test_the_bytes_that_a_batch_sends(monkeypatch):
    """Recursive doubling sends all log2(ranks) times, halving and doubling twice (n - 1) / n."""
    exchanges = {}
    kept = loop.kept

    def keep(model, plan):
        found = kept(model, plan)
        exchanges[plan.shards.ranks.size] = found.program.exchange
        return found

    monkeypatch.setattr(loop, "kept", keep)

    def job(communicator):
        model = fastnn.Network([fastnn.Dense(3000), fastnn.Dense(1)], optimizer=fastnn.SGD(1e-9))
        fit(model, communicator, y=Y[:, 0], epochs=1)

    for size, whole, halved in ((2, 1, 1), (4, 2, 1.5)):
        assert ranks.run(size, job) == [None] * size
        small = 4 * (3000 + 3000 + 1) + 3 * 8
        assert exchanges[size].sent == whole * small + halved * 4 * INPUTS * 3000
