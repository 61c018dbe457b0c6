"""Reports on models for tables: one page that needs nothing else, and breaks on no name."""

from html.parser import HTMLParser

import numpy as np
import pytest

from fastnn import tabular
from fastnn.tabular import Recipe, TabularClassifier, TabularRegressor, report
from fastnn.tabular.charts import curves, scatter, table

QUICK = Recipe(hidden=(8,), epochs=4, batch_size=32, folds=2, max_categories=3)
N = 80
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N)
ROWS = [[NUMBERS[i], "abcde"[i % 5], None if i % 8 == 0 else i % 7] for i in range(N)]
OPEN = {"meta", "br"}
"""Elements that nothing closes."""


class Page(HTMLParser):
    """Checks that all elements are closed; `text` is what a reader sees."""

    def __init__(self, html):
        super().__init__()
        self.inside, self.text, self.sources = [], "", []
        self.feed(html)
        assert self.inside == []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        assert tag != "script"
        if tag not in OPEN:
            self.inside.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag

    def handle_data(self, data):
        if self.inside and self.inside[-1] != "style":
            self.text += data


def page(model, path, *rows):
    report(model, path, *rows)
    html = path.read_text(encoding="utf-8")
    found = Page(html)
    assert found.sources == [] and "NaN" not in html and "nan" not in html.replace("finance", "")
    return found.text, html


def test_a_regressor(tmp_path):
    model = TabularRegressor(QUICK).fit(ROWS, NUMBERS)
    text, html = page(model, tmp_path / "r.html")
    for title in ("TabularRegressor", "Errors", "Predictions", "Learning curves", "Columns"):
        assert title in text
    assert f"its R² is {model.oof_score_:.3f}" in text
    assert "importance" not in text and html.count("<svg") == 2
    assert html.count("<circle") == N and html.count("<polyline") == 5
    text, _ = page(model, tmp_path / "r.html", ROWS, NUMBERS)
    assert "On the 80 rows given" in text and "importance" in text and "Findings" in text
    assert "leak: X column 0 alone predicts" in text
    assert "x2number" in text.replace("\n", "") and "10" in text  # missing values


def test_a_classifier(tmp_path):
    labels = np.array(["<i>no", "yes"])[np.arange(N) % 2]
    model = TabularClassifier(QUICK).fit(ROWS, labels)
    text, html = page(model, tmp_path / "c.html", ROWS, labels)
    assert "predicted <i>no" in text and "<i>" not in html
    assert f"its accuracy is {model.oof_score_:.3f}" in text
    many = np.arange(N) % 25
    text, _ = page(TabularClassifier(QUICK).fit(ROWS, many), tmp_path / "c.html")
    assert "Of 25 classes, these are predicted worst" in text


def test_several_targets_weights_and_names(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(ROWS, columns=["a & b", "<script>", "c"])
    frame = frame.assign(day=pd.Timestamp("2026-03-01"))
    y = np.stack([NUMBERS, -NUMBERS], axis=1)
    model = TabularRegressor(QUICK).fit(frame, y, np.arange(N) > 9)
    text, html = page(model, tmp_path / "r.html", frame, y)
    assert "true value of target 1" in text and html.count("<circle") == 2 * (N - 10)
    assert "a & b" in text and "<script>" in text and "2026-03-01 only" in text


def test_a_loaded_model_shows_what_it_has(tmp_path):
    TabularRegressor(QUICK).fit(ROWS, NUMBERS).save(tmp_path / "m")
    text, html = page(tabular.load(tmp_path / "m"), tmp_path / "r.html", ROWS, NUMBERS)
    assert "Errors" in text and "importance" in text and "<svg" not in html


def test_what_a_report_refuses(tmp_path):
    model = TabularRegressor(QUICK)
    with pytest.raises(AttributeError, match="not fitted"):
        report(model, tmp_path / "r.html")
    model.fit(ROWS, NUMBERS)
    with pytest.raises(ValueError, match="only one of X and y"):
        report(model, tmp_path / "r.html", ROWS)
    assert not (tmp_path / "r.html").exists()


def test_charts_of_odd_numbers():
    for x in ([1.0], [2.0, 2.0], [1e-300, 1e300], [-1e15, 1e15], [0.0, 1e-9]):
        Page(scatter(np.array(x), np.array(x), ("a", "b")))
    for losses in ([[1.0]], [[0.0, 1.0]], [[1e-30, 1e30, np.inf, np.nan]], [[-1.0] * 2000]):
        html = curves([("a", losses), ("b", losses)], ("x", "y"))
        assert "nan" not in html and "inf" not in html
    assert table(["a", "b"], [["x", "1"]]).count("<td") == 2
