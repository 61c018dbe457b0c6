"""Whatever form the data has, the weights are those of a contiguous float32 copy."""

import numpy as np
import pytest

from fastnn import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    LayerNormalization,
    Network,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Scale,
)

ROWS, COLUMNS = 60, 4


def _integers(rng, shape):
    return rng.integers(0, 9, shape).astype(np.float32)


def _data():
    """Return inputs, regression targets and weights that every type can hold exactly."""
    rng = np.random.default_rng(0)
    return _integers(rng, (ROWS, COLUMNS)), _integers(rng, (ROWS, 2)), _integers(rng, ROWS) + 1


def _trained(x, y, weight=None, *, loss="mse", dtype="float32", **options):
    network = Network([Dense(5, "tanh"), Dense(2)], loss=loss, optimizer="adam", dtype=dtype)
    validation = options.pop("validation_data", None)
    history = network.fit(
        x, y, epochs=2, batch_size=16, sample_weight=weight, validation_data=validation, **options
    )
    results = [*network.get_weights(), network.predict(x)]
    results.append(np.array([network.evaluate(x, y, weight), *history.history["loss"]]))
    return [array.tobytes() for array in results]


def _gapped(a):
    gaps = np.full([2 * n for n in a.shape], np.nan if a.dtype.kind == "f" else 0, a.dtype)
    view = gaps[tuple([slice(1, None, 2)] * a.ndim)]
    view[...] = a
    return view


def _misaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:]
    view = memory.view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _field(a):
    """Return rows inside larger records: strides that no slicing of numbers gives."""
    records = np.zeros(len(a), [("before", "i1"), ("it", a.dtype, a.shape[1:])])
    records["it"] = a
    return records["it"]


FORMS = {
    "lists": lambda a: a.tolist(),
    "tuples": lambda a: tuple(map(tuple, a.tolist())) if a.ndim == 2 else tuple(a.tolist()),
    **{
        name: lambda a, name=name: a.astype(name)
        for name in ("float16", "float64", "longdouble", "int64", "int32", "int8", "uint8", ">f4")
    },
    "read-only": _read_only,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "both reversed": lambda a: np.flip(np.flip(a).copy()),
    "gaps": _gapped,
    "column order": lambda a: np.asfortranarray(a),
    "gaps of integers": lambda a: _gapped(a.astype(np.uint16)),
    "misaligned": _misaligned,
    "inside records": _field,
    "arrays in a list": lambda a: list(a),
}


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_weights(form, dtype):
    x, y, weight = _data()
    given = [FORMS[form](array) for array in (x, y, weight)]
    for shuffle in (True, False):
        expected = _trained(x, y, weight, shuffle=shuffle, dtype=dtype)
        assert _trained(*given, shuffle=shuffle, dtype=dtype) == expected


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8", "uint64", "bool", ">i4"])
def test_labels_of_every_integer_type(dtype):
    x = _data()[0]
    labels = np.arange(ROWS) % 2
    for shuffle in (True, False):
        kind = {"loss": "softmax_cross_entropy", "shuffle": shuffle}
        expected = _trained(x, labels, **kind)
        for given in (labels.astype(dtype), _gapped(labels.astype(dtype)), labels.tolist()):
            assert _trained(x, given, **kind) == expected


def test_one_row_of_zeros_and_ones_may_be_booleans():
    x, y, _ = _data()
    assert _trained(x > 4, y > 4, loss="logistic") == _trained(
        (x > 4).astype(np.float32), (y > 4).astype(np.float32), loss="logistic"
    )


def test_one_column_repeated_without_memory_of_its_own():
    x, y, _ = _data()
    repeated = np.broadcast_to(x[:, :1], x.shape)
    assert _trained(repeated, y) == _trained(repeated.copy(), y)


def test_memory_maps(tmp_path):
    x, y, weight = _data()
    maps = []
    for name, array in (("x", x), ("y", y)):
        array.tofile(tmp_path / name)
        maps.append(np.memmap(tmp_path / name, np.float32, "r", shape=array.shape))
    assert _trained(*maps, weight) == _trained(x, y, weight)
    np.save(tmp_path / "x.npy", x)
    assert _trained(np.load(tmp_path / "x.npy", mmap_mode="r"), y) == _trained(x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_pandas_frames(dtype):
    pandas = pytest.importorskip("pandas")
    x, y, weight = _data()
    names = list("abcd")
    frames = [pandas.DataFrame(a.astype(dtype), columns=names[: a.shape[1]]) for a in (x, y)]
    given = *frames, pandas.Series(weight.astype(dtype))
    assert _trained(*given) == _trained(x, y, weight)
    mixed = frames[0].assign(a=frames[0]["a"].astype(np.int16), b=frames[0]["b"].astype("Float64"))
    assert _trained(mixed, y) == _trained(x, y)
    labels = pandas.Series(np.arange(ROWS) % 2, index=np.arange(ROWS)[::-1])
    loss = "softmax_cross_entropy"
    assert _trained(frames[0], labels, loss=loss) == _trained(x, labels.to_numpy(), loss=loss)


@pytest.mark.parametrize("dtype", ["Float32", "Float64", "Int64"])
def test_polars_frames(dtype):
    polars = pytest.importorskip("polars")
    x, y, weight = _data()
    kind = getattr(polars, dtype)
    frames = [polars.DataFrame(a).cast(kind) for a in (x, y)]
    assert _trained(*frames, polars.Series(weight).cast(kind)) == _trained(x, y, weight)
    mixed = frames[0].with_columns(column_0=frames[0]["column_0"].cast(polars.UInt8))
    assert _trained(mixed, y) == _trained(x, y)


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    arrays = _data()
    assert _trained(*map(torch.from_numpy, arrays)) == _trained(*arrays)


def test_what_is_given_is_not_changed():
    x, y, weight = _data()
    for shuffle in (True, False):
        for given in ((x, y, weight), tuple(a.astype(np.float64) for a in (x, y, weight))):
            before = [array.copy() for array in given]
            _trained(*given, shuffle=shuffle, validation_data=given)
            for array, copy in zip(given, before, strict=True):
                np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    "first",
    [
        Activation("relu"),
        BatchNormalization(),
        LayerNormalization(),
        ParametricActivation("relu"),
        Scale(),
        Embedding(4, 2, columns=[0]),
        PeriodicEmbedding(4, 2),
        PiecewiseLinearEmbedding([[-1.0, 1.0]], 2, columns=[1]),
        Dropout(0.5),
        Dense(4, drop_connect=0.5),
    ],
)
def test_no_layer_writes_to_rows_that_are_read_where_they_lie(first):
    x, y, _ = _data()
    copies = x.copy(), y.copy()
    for n_threads in (1, 2):
        network = Network([first, Dense(2)], loss="mse", optimizer="adam", n_threads=n_threads)
        network.fit(x, y, epochs=2, batch_size=16, shuffle=False)
        np.testing.assert_array_equal(x, copies[0])
        np.testing.assert_array_equal(y, copies[1])


def test_weights_are_copied_in_and_out():
    x, y, _ = _data()
    network = Network([Dense(2)])
    network.build(COLUMNS)
    given = [np.ones((COLUMNS, 2), np.float32), np.ones(2, np.float32)]
    network.set_weights(given)
    taken = network.get_weights()
    network.fit(x, y)
    for one, two in zip(given, taken, strict=True):
        assert (one == 1).all() and (two == 1).all()
    taken = network.get_weights()
    taken[0][:] = 7
    assert not (network.get_weights()[0] == 7).any()
    network.set_weights([array.tolist() for array in network.get_weights()][:2])
    network.set_weights(network.get_weights())


def test_set_weights_takes_views_of_the_networks_own_output():
    network = Network([Dense(3, use_bias=False), Dense(3, use_bias=False)])
    network.build(3)
    first, second = network.get_weights()
    network.set_weights([second.T, first[::-1]])
    for actual, wanted in zip(network.get_weights(), (second.T, first[::-1]), strict=True):
        np.testing.assert_array_equal(actual, wanted)
