"""The README's numbers are what the stored results of the benchmarks say."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import ablation, bfloat16, calls, defaults, embeddings, ranks, sets, tabular, thin
from bench.report import APART
from bench.tables import (
    BEGIN,
    END,
    between_markers,
    estimator_block,
    exponents,
    growth_cells,
    render,
)
from fastnn.tabular.encoding import Encoding
from fastnn.tabular.members import Members
from fastnn.tabular.recipe import network

ROOT = Path(__file__).resolve().parent.parent


def stored():
    return json.loads((ROOT / "bench" / "results" / "report.json").read_text(encoding="utf-8"))


def test_readme_shows_the_stored_results():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert between_markers(readme) == render(stored())


@pytest.mark.parametrize("section", APART)
def test_pages_show_what_is_stored_in_files_of_their_own(section):
    stored = json.loads((ROOT / "bench" / "results" / f"{section}.json").read_text("utf-8"))
    page = (ROOT / "docs" / APART[section]).read_text(encoding="utf-8")
    modules = {"calls": calls, "tabular": tabular, "ablation": ablation, "embeddings": embeddings,
               "defaults": defaults, "thin": thin, "bfloat16": bfloat16,
               "ranks": ranks}  # fmt: skip
    block = estimator_block if section == "estimators" else modules[section].block
    assert between_markers(page) == block(stored)


def test_stored_times_are_of_the_same_work():
    for entry in stored()["training"]:
        for name, peer in entry["peers"].items():
            assert peer["agrees"], (entry["work"], entry["threads"], name, peer["disagreement"])


def contender(median, agrees=True):
    return {"median": median, "agrees": agrees}


def results(**peers):
    entry = {"work": "200-64-1", "threads": 2, "dtype": "float32", "date": "2020-01-01"}
    machine = {"cpu": "CPU", "simd": "avx2", "cores": 2, "system": "Linux", "python": "3.11"}
    return {"machine": machine, "training": [entry | {"rounds": 3, "peers": peers}]}


def test_row_of_the_table():
    text = render(results(fastnn=contender(0.01), numpy=contender(0.025), torch=contender(1.5)))
    assert "| work | threads | fastnn | NumPy | PyTorch | next / fastnn |" in text
    assert "| 200-64-1, batch 10, MAE, SGD | 2 | 10 | 25 | 1,500 | 2.50 |" in text
    assert "Measured 2020-01-01 on CPU, avx2, 2 cores, Linux; Python 3.11." in text


def test_contender_that_did_other_work_is_marked_and_does_not_count():
    text = render(results(fastnn=contender(0.01), numpy=contender(0.02, agrees=False)))
    assert "| 200-64-1, batch 10, MAE, SGD | 2 | 10 | differs | - |" in text


def test_predictions_are_listed():
    rows = [{"rows": 1, "peers": {"fastnn": contender(4e-6), "onnx": contender(6e-6)}}]
    made = results(fastnn=contender(0.01))
    assert "Prediction" not in render(made)
    text = render(made | {"prediction": [{"threads": 1, "rows": rows}]})
    assert "| rows, microseconds | threads | fastnn | ONNX Runtime | next / fastnn |" in text
    assert "| 1 | 1 | 4 | 6 | 1.50 |" in text


def test_many_networks_on_one_and_two_threads():
    entries = [
        {"threads": threads, "dtype": "float32", "peers": {"fastnn": contender(median)} | others}
        for threads, median, others in [
            (1, 0.6, {"jax_vmap_scan": contender(0.9), "jax_one_by_one": contender(1.2)}),
            (2, 0.3, {"jax_vmap_scan": contender(0.9, agrees=False)}),
        ]
    ]
    text = render({"many": entries})
    assert "64 of 200-64-1, batch 50, MAE, SGD, float32" in text
    assert "2.00 times as fast on 2 threads as on one." in text
    assert "| 1 | 0.6 | 0.9 | 1.2 | 1.50 |" in text
    assert "| 2 | 0.3 | differs | - | - |" in text


def test_growth_is_told_by_its_exponents():
    medians = [(1000, 0.001, 0.01), (10_000, 0.01, 0.02), (100_000, 1.0, None)]
    rows = [
        {"size": size, "peers": {"fastnn": {"median": ours}}
         | ({"numpy": {"median": theirs}} if theirs else {})}
        for size, ours, theirs in medians
    ]  # fmt: skip
    assert exponents(rows, "fastnn") == pytest.approx([1, 2])
    assert exponents(rows, "numpy") == pytest.approx([0.30103], rel=1e-4)
    assert growth_cells(rows)[2:] == [
        ["10,000", "10", "20", "1.00"],
        ["100,000", "1,000", "-", "2.00"],
    ]
    text = render({"growth": [{"threads": 1, "rows": rows, "parameters": rows[:2]}]})
    assert "decade by decade, are 1.00, 2.00 from 1,000 to 100,000 rows and 1.00" in text


def test_text_goes_between_the_markers():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_markers(text) == "old"
    assert between_markers(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_missing_marker_is_named():
    with pytest.raises(ValueError, match="bench:end"):
        between_markers(f"{BEGIN}\nold\n", "new")


def fits(contender, table, errors, seconds=1.0):
    common = {
        "set": table,
        "contender": contender,
        "version": "1",
        "cpu": "CPU",
        "date": "2020-1-1",
    }
    return [
        common | {"split": split, "error": error, "log_loss": 0.5, "seconds": seconds}
        for split, error in enumerate(errors)
    ]


def test_learners_of_tables_are_compared_on_sets_that_all_have_learned():
    about = {"rows": 500, "columns": 5, "texts": 0, "missing": 0.0}
    entry = {
        "sets": {"Sacramento": about, "airfare": about, "olive": about, "birds": about},
        "fits": [
            *fits("mlp", "Sacramento", [0.2, 0.3, 0.4]),
            *fits("mlp", "airfare", [0.1, 0.1, 0.1]),
            *fits("mlp", "olive", [0.0, 0.0, 0.0], seconds=4.0),
            *fits("td", "Sacramento", [0.1, 0.1, 0.1]),
            *fits("td", "airfare", [0.1, 0.1]),
            *fits("td", "olive", [0.02, 0.03, 0.04]),
            *fits("td", "birds", [0.1, 0.1, 0.1]),
        ],
    }
    entry["fits"] += [{**entry["fits"][0], "set": "airfare", "contender": "td", "failed": "no"}]
    assert tabular.compared(entry, "claim") == ["Sacramento", "olive"]
    assert tabular.compared(entry, "tuning") == []
    rows = tabular.summary(entry, "claim")
    assert rows["mlp"]["regression"] == pytest.approx(0.3)
    assert rows["mlp"]["both"] == pytest.approx((0.31 * 0.01) ** 0.5 - 0.01)
    assert rows["mlp"]["both, s"] == pytest.approx(2.0)
    assert rows["td"]["classification"] == pytest.approx(0.03)
    shown = [["Sacramento", "claim", "0.3000", "0.1000"], ["airfare", "claim", "0.1000", "-"]]
    assert sorted(tabular.error_cells(entry)[1:3]) == shown


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_half_of_the_tables_are_for_the_claim(task):
    halves = [each.half for each in tabular.TASKS[task]]
    assert halves.count("claim") == 7 <= halves.count("tuning")


def test_an_ablation_looks_at_sets_for_tuning_and_changes_what_it_says():
    assert {sets.SETS[name].half for name in ablation.ORDER} == {"tuning"}
    assert [each.ties for each in Members._hooks(None)] == ["last"]
    with ablation.first_best():
        assert [each.ties for each in Members._hooks(None)] == ["first"]
    x = np.array([[0.0, 5.0], [1.0, 5.0], [8.0, 5.0]])
    scaled = ablation.Standardized(smooth_clip=False, leave=[]).fit_transform(x)
    assert scaled == pytest.approx(np.stack([(x[:, 0] - 3) / x[:, 0].std(), 0 * x[:, 0]], axis=1))
    with ablation.constant_rate():
        encoding = Encoding(None, 8)
        encoding.fit_transform(x)
        made = network(ablation.BASE, encoding, "mse", 1, 100, 0)
    assert made.optimizer.learning_rate == ablation.BASE.learning_rate


def test_increases_are_geometric_means_of_what_all_rows_have_learned():
    def fit(table, row, split, error):
        return {"set": table, "row": row, "split": split, "error": error}

    entry = {"sets": dict.fromkeys(["bdims", "concrete"]), "fits": []}
    for table, factor in (("bdims", 2.0), ("concrete", 0.5)):
        for row in ablation.rows_of("regression"):
            error = 0.19 if row == "base" else factor * 0.2 - 0.01
            entry["fits"].append(fit(table, row, 0, error))
    entry["fits"].append(fit("bdims", "base", 1, 0.5))  # an unfinished split
    assert ablation.compared(entry)["regression"] == [("bdims", 0), ("concrete", 0)]
    assert ablation.increase(entry, "base", "regression", "error") == (0, 0)
    assert ablation.increase(entry, "relu", "regression", "error") == pytest.approx(
        (0, 100 * np.log(2))
    )
    assert "smoothing" not in ablation.rows_of("regression")
