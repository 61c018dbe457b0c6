"""Transformers: scikit-learn's numbers, round trips, constant features, chains, errors."""

import numpy as np
import pytest

from fastnn.preprocessing import (
    PCA,
    Center,
    Chain,
    Impute,
    MinMax,
    RobustScale,
    Standardize,
    Transformer,
    Whiten,
    as_chain,
)

X = np.array([[2, 0, 3], [4, 1, -1], [6, 5, 4], [3, 2, 1], [9, 3, -5.0]])
RNG = np.random.default_rng(0)
WIDE = RNG.standard_normal((60, 7)) @ RNG.standard_normal((7, 7)) + 100
WIDE[:, 2] = 0.1  # rounding makes its mean differ from 0.1

# scikit-learn 1.9.1: StandardScaler, MinMaxScaler((-1, 1)), PCA(2), PCA(2, whiten=True).
RECORDED = [
    (
        Standardize(),
        [
            [-1.1281521496355325, -1.2787240261820123, 0.8125],
            [-0.32232918561015206, -0.6974858324629158, -0.4375],
        ],
        {
            "mean_": [4.8, 2.2, 0.4],
            "scale_": [2.481934729198171, 1.7204650534085253, 3.2],
        },
    ),
    (MinMax(), [[-1, -1, 0.7777777777777778], [-0.4285714285714286, -0.6, -0.11111111111111]], {}),
    (
        PCA(2),
        [[3.9962252904750706, -1.7415827835356659], [-0.5093275394876384, -1.9384178866701927]],
        {
            "components_": [
                [-0.5802034248835866, -0.12729729914447085, 0.8044621702627662],
                [0.5157069874594288, 0.7070742705702998, 0.48383083715592107],
            ],
            "explained_variance_": [17.35258573364725, 6.56291302710056],
            "explained_variance_ratio_": [0.7170489972581506, 0.27119475318597347],
        },
    ),
    (
        Whiten(2, eps=1e-15),
        [[0.9593296436808588, -0.6798229133712347], [-0.12226863388761511, -0.7566570521395232]],
        {},
    ),
]
ALL = [
    Center(),
    Center(per_feature=False),
    Center(channels=1),
    Standardize(),
    MinMax(),
    MinMax((0, 5)),
    RobustScale(),
    RobustScale(smooth_clip=False),
    Impute(),
    PCA(),
    PCA(3),
    PCA(0.9),
    Whiten(n_components=2, ddof=0),
    Whiten(),
    Whiten(0.9, eps=0.1),
    Chain([Standardize(), PCA(4)]),
    Chain(["center", "min_max", Whiten()]),
]
each = pytest.mark.parametrize("transformer", ALL, ids=repr)


@pytest.mark.parametrize(("transformer", "rows", "attributes"), RECORDED)
def test_recorded_values(transformer, rows, attributes):
    transformer.fit(X)
    np.testing.assert_allclose(transformer.transform(X[:2]), rows, rtol=1e-12, atol=1e-13)
    for name, value in attributes.items():
        np.testing.assert_allclose(getattr(transformer, name), value, rtol=1e-12)


def test_scikit_learn_agrees():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    decomposition = pytest.importorskip("sklearn.decomposition")
    pairs = [
        (Standardize(), preprocessing.StandardScaler()),
        (MinMax((0, 1)), preprocessing.MinMaxScaler()),
        (RobustScale(smooth_clip=False), preprocessing.RobustScaler()),
        (PCA(3), decomposition.PCA(3)),
        (PCA(0.95), decomposition.PCA(0.95)),
        (Whiten(4, eps=1e-15), decomposition.PCA(4, whiten=True)),
    ]
    for ours, theirs in pairs:
        expected = theirs.fit_transform(WIDE)
        transformed = ours.fit_transform(WIDE)
        np.testing.assert_allclose(transformed, expected, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(
            ours.inverse_transform(transformed), theirs.inverse_transform(expected), rtol=1e-12
        )


def test_formulas():
    assert Center(per_feature=False).fit(X).mean_ == pytest.approx(X.mean())
    np.testing.assert_allclose(Center().fit_transform(X), X - X.mean(axis=0), atol=1e-15)
    pixels = np.repeat(X, 2, axis=1)[:, [0, 2, 4, 1, 3, 5]]  # two pixels of X's three channels
    centered = Center(channels=3).fit_transform(pixels).reshape(-1, 3)
    np.testing.assert_allclose(centered, pixels.reshape(-1, 3) - X.mean(axis=0), atol=1e-15)
    white = Whiten().fit(WIDE)
    cov = np.cov(WIDE.T)
    np.testing.assert_allclose(
        white.components_ @ cov @ white.components_.T,
        np.diag(white.explained_variance_),
        atol=1e-10,
    )
    done = np.cov(white.transform(WIDE).T)
    spread = white.explained_variance_ / (white.explained_variance_ + 1e-5)
    np.testing.assert_allclose(done, np.diag(spread), atol=1e-9)


def test_covariances_by_the_number_of_rows():
    n, one, rows = len(WIDE), PCA().fit(WIDE), PCA(ddof=0).fit(WIDE)
    np.testing.assert_allclose(one.components_, rows.components_, atol=1e-12)
    values = np.linalg.eigvalsh(np.cov(WIDE.T, ddof=0))[::-1]
    np.testing.assert_allclose(rows.explained_variance_, values, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        rows.explained_variance_ * n / (n - 1), one.explained_variance_, 1e-12, 1e-12
    )
    done = Whiten(6, eps=1e-15, ddof=0).fit_transform(WIDE)  # the seventh column is constant
    np.testing.assert_allclose(np.cov(done.T, ddof=0), np.eye(6), atol=1e-9)
    decomposition = pytest.importorskip("sklearn.decomposition")
    theirs = decomposition.PCA().fit(WIDE).explained_variance_ * (n - 1) / n
    np.testing.assert_allclose(rows.explained_variance_, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("wanted", "kept"), [(1e-9, 1), (0.71, 1), (0.72, 2), (0.98, 2), (0.99, 3)]
)
def test_a_fraction_of_the_variance_keeps_as_few_as_explain_more(wanted, kept):
    assert len(PCA(wanted).fit(X).components_) == kept


@each
def test_the_layout_of_the_rows_does_not_matter(transformer):
    backwards = np.ascontiguousarray(WIDE[::-1])[::-1]
    layouts = [WIDE, np.asfortranarray(WIDE), np.repeat(WIDE, 2, axis=0)[::2], backwards]
    found = [transformer.fit(rows).transform(rows).tobytes() for rows in layouts]
    assert len(set(found)) == 1


@each
def test_round_trip(transformer):
    done = transformer.fit_transform(WIDE)
    assert done.shape == (60, transformer.n_features_out_) and done.flags.c_contiguous
    assert transformer.n_features_in_ == 7 and transformer.fitted
    again = transformer.inverse_transform(done)
    if transformer.n_features_out_ == 7:
        np.testing.assert_allclose(again, WIDE, rtol=1e-11)
    else:  # what was dropped is gone, but no more
        np.testing.assert_allclose(transformer.transform(again), done, rtol=1e-9, atol=1e-9)


@each
def test_rows_and_settings_are_left_alone_and_rows_do_not_depend_on_each_other(transformer):
    rows = WIDE.copy()
    rows.flags.writeable = False
    settings = repr(transformer)
    whole = transformer.fit(rows).transform(rows)
    assert repr(transformer) == settings and np.array_equal(rows, WIDE)
    for part in (slice(0, 1), slice(3, 10), slice(59, None)):
        assert transformer.transform(rows[part]).tobytes() == whole[part].tobytes()
    many = np.concatenate([rows] * 1500)  # more than a block
    assert transformer.transform(many)[-60:].tobytes() == whole.tobytes()
    np.testing.assert_array_equal(
        transformer.fit(WIDE[:, :, None].transpose(2, 1, 0)[0].T).transform(rows), whole
    )


@each
def test_types(transformer):
    whole = transformer.fit_transform(WIDE)
    assert whole.dtype == np.float64
    narrow = transformer.fit_transform(WIDE.astype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, whole, atol=2e-3 * np.abs(whole).max())
    assert transformer.transform(WIDE, dtype="float32").dtype == np.float32
    assert transformer.fit_transform(WIDE.astype(int)).dtype == np.float64
    assert transformer.fit_transform(WIDE.tolist()).shape == whole.shape


def test_many_rows_in_blocks_learn_what_all_at_once_would():
    rows = RNG.standard_normal((300_000, 3)) * [1, 10, 100] + [0, 1e3, -1e6]
    scaler = Standardize().fit(rows)
    np.testing.assert_allclose(scaler.mean_, rows.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(scaler.scale_, rows.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(
        PCA().fit(rows).explained_variance_, np.sort(np.linalg.eigvalsh(np.cov(rows.T)))[::-1]
    )
    ranges = MinMax().fit(rows)
    assert np.array_equal(ranges.data_min_, rows.min(axis=0))
    assert np.array_equal(ranges.data_max_, rows.max(axis=0))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-310, 1e17, 1e300])
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_a_constant_feature_becomes_0(value, rows):
    constant = np.full((rows, 2), value)
    kinds = Center(), Center(False), Standardize(), MinMax(), RobustScale(), PCA(1), Whiten()
    for transformer in kinds:
        done = transformer.fit_transform(constant)
        assert not done.any(), transformer
        np.testing.assert_array_equal(transformer.inverse_transform(done), constant[:, :2])
    assert (MinMax((0, 1)).fit_transform(constant) == 0).all()
    assert (MinMax((2, 3)).fit_transform(constant) == 2).all()
    assert (MinMax((-3, -2)).fit_transform(constant) == -2).all()


def test_a_feature_that_was_constant_is_only_shifted_later():
    for transformer in (Standardize(), MinMax()):
        transformer.fit([[1.0, 5.0], [3.0, 5.0]])
        assert transformer.transform([[2.0, 7.0]]).tolist() == [[0, 2]]


def test_robust_scaling():
    rare = np.zeros((40, 3))
    rare[:3, 0], rare[:, 1], rare[::2, 1] = [4, -2, 4], np.arange(40), np.nan
    scaler = RobustScale(smooth_clip=False).fit(rare)
    assert scaler.scale_.tolist() == [3, 19, 0] and scaler.median_.tolist() == [0, 20, 0]
    done = scaler.transform(rare + [0, 0, 5])
    assert done[0, 0] == 4 / 3 and done[1, 1] == -1 and not done[:, 2].any()
    np.testing.assert_array_equal(np.isnan(done), np.isnan(rare))
    clipped = RobustScale().fit(rare)
    np.testing.assert_allclose(clipped.transform(rare), done / np.sqrt(1 + (done / 3) ** 2))
    left = RobustScale(leave=[1]).fit(rare)
    some = left.transform(rare)
    np.testing.assert_array_equal(some, np.where([0, 1, 0], rare, clipped.transform(rare)))
    np.testing.assert_allclose(left.inverse_transform(some), rare, atol=1e-14)
    far = clipped.transform([[1e300, -1e300, 1]])
    assert far.tolist() == [[3, -3, 0]] and np.isfinite(clipped.inverse_transform(far)).all()


def test_imputation():
    rows = np.array([[1, np.nan, np.nan, 1], [2, np.nan, 5, 1], [6, np.nan, 7, 1]], np.float32)
    impute = Impute().fit(rows)
    done = impute.transform(rows)
    assert done.tolist() == [
        [1, 0, 6, 1, 1, 1], [2, 0, 5, 1, 1, 0], [6, 0, 7, 1, 1, 0]
    ]  # fmt: skip
    np.testing.assert_array_equal(impute.inverse_transform(done), rows)
    later = impute.transform([[np.nan, 3, 4, np.nan]])
    assert later.tolist() == [[2, 3, 4, 1, 0, 0]]
    assert Impute(-1, indicators=False).fit(rows).transform(rows[:1]).tolist() == [[1, -1, -1, 1]]
    chain = Chain(["robust_scale", Impute(0.0)]).fit(rows)
    np.testing.assert_allclose(chain.inverse_transform(chain.transform(rows)), np.where(
        [0, 1, 0, 0], np.nan, rows
    ))  # fmt: skip
    for steps in (["robust_scale"], ["standardize", "impute"]):
        with pytest.raises(ValueError, match="X has nan at row 0, column 1, wanted finite"):
            Chain(steps).fit_transform(rows)


def test_nothing_is_ever_nan():
    extremes = [5e-324, 1e-300, 1e-160, 1.0, 1e16 + 2, 1e150]
    for a in extremes:
        for b in [*extremes, np.nextafter(a, np.inf), -a]:
            rows = np.array([[a, b], [b, a], [a, a]])
            for transformer in (Center(), Standardize(), MinMax(), RobustScale(), PCA(), Whiten()):
                assert np.isfinite(transformer.fit_transform(rows)).all(), (a, b, transformer)


@each
def test_storage(transformer):
    expected = transformer.fit_transform(WIDE)
    state = {name: array.copy() for name, array in transformer.state().items()}
    config = transformer.to_config()
    again = as_chain(config["steps"] if config["name"] == "Chain" else config)
    assert not again.fitted and again.state() == {}
    target = again if isinstance(transformer, Chain) else again.steps[0]
    with pytest.raises(KeyError):
        target.restore({name: state[name] for name in list(state)[:-1]})
    assert not target.fitted
    target.restore(state)
    assert target.transform(WIDE).tobytes() == expected.tobytes()
    assert type(target.n_features_in_) is int


def test_a_chain_fits_copies_and_flattens():
    scaler = Standardize()
    chain = Chain([scaler, Chain(["center", PCA(2)])]).fit(X)
    assert not scaler.fitted and [type(step) for step in chain.steps_] == [
        Standardize, Center, PCA,
    ]  # fmt: skip
    expected = PCA(2).fit_transform(Standardize().fit_transform(X))
    np.testing.assert_allclose(chain.transform(X), expected, rtol=1e-12)
    assert repr(chain) == (
        "Chain(steps=[Standardize(), Center(per_feature=True, channels=None), "
        "PCA(n_components=2, ddof=1)])"
    )


class Foreign:
    """Doubles, remembers what it was given, and does as `wrong` says."""

    def __init__(self, wrong=None):
        self.wrong = wrong

    def fit(self, rows):
        self.rows_ = len(rows)
        return self

    def transform(self, rows):
        done = 2 * rows
        return {"rows": done[1:], "nan": done * np.nan, "flat": done.ravel()}.get(self.wrong, done)


def test_other_libraries_transformers():
    theirs = Foreign()
    chain = Chain([theirs, "standardize"]).fit(X)
    assert not hasattr(theirs, "rows_") and chain.steps_[0].rows_ == 5
    np.testing.assert_allclose(chain.transform(X), Standardize().fit_transform(X))
    with pytest.raises(TypeError, match="Foreign has no inverse_transform"):
        chain.inverse_transform(X)
    with pytest.raises(TypeError, match="has a Foreign, which only pickle could store"):
        chain.to_config()
    sklearn = pytest.importorskip("sklearn.preprocessing")
    given = sklearn.StandardScaler().fit(X * 100)
    chain = Chain([given]).fit(X)
    np.testing.assert_allclose(chain.transform(X), Standardize().fit_transform(X), atol=1e-14)
    np.testing.assert_allclose(chain.inverse_transform(chain.transform(X)), X, atol=1e-14)
    assert given.mean_[0] == pytest.approx(480)
    with pytest.raises(TypeError, match="the output of OneHotEncoder is a sparse csr"):
        Chain([sklearn.OneHotEncoder()]).fit(X)


def test_a_users_own():
    class Logarithm(Transformer):
        def _learn(self, rows):
            return {}

        def _forward(self, block):
            return np.log(block)

    chain = Chain([Logarithm(), "standardize"])
    np.testing.assert_allclose(
        chain.fit_transform(X**2 + 1), Standardize().fit_transform(np.log(X**2 + 1))
    )
    with pytest.raises(TypeError, match="has a Logarithm, which only pickle could store"):
        chain.to_config()
