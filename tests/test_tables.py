"""Reading tables, and the encoding of their columns. polars comes with the extra ``test``."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest

pl = pytest.importorskip("polars")

from fastnn.tables import TableEncoder, read_table, read_target  # noqa: E402


@pytest.fixture
def table(tmp_path):
    """Return a reader of CSV text."""

    def read(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return read_table(path)

    return read


def encoded(frame, target="y", **options):
    encoder = TableEncoder.fit(frame, target, **options)
    return encoder, encoder.encode(frame)


@pytest.mark.parametrize("separator", ",;\t|")
def test_separators(table, separator):
    frame = table("a,b\n1,x\n2,\n".replace(",", separator))
    assert frame.to_dict(as_series=False) == {"a": ["1", "2"], "b": ["x", None]}


def test_csv_details(table):
    frame = table('\ufeffa,b,c\r\n 1 ,"x, y",NA\r\n\r\n2,"",TRUE\r\n3,nan,False\r\n')
    assert frame.columns == ["a", "b", "c"]
    assert frame["a"].to_list() == ["1", "2", "3"]
    assert frame["b"].to_list() == ["x, y", None, None]
    assert frame["c"].to_list() == [None, "true", "false"]


def test_a_blank_line_is_no_row_but_a_row_without_values_is(table):
    frame = table('a,b\n1,"x\n\ny"\n\n,\n2,z\n\n\n')
    assert frame.rows() == [("1", "x\n\ny"), (None, None), ("2", "z")]
    assert table('a\n1\n\n""\n2\n\n').rows() == [("1",), (None,), ("2",)]


def test_gzip(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n\n1,2\n,\n"))
    assert read_table(path)["b"].to_list() == ["2", None]


def test_parquet_gives_what_csv_gives(tmp_path):
    frame = pl.DataFrame(
        {
            "number": [1.5, float("nan"), None, 4.0],
            "whole": [1, 2, 3, 4],
            "flag": [True, None, False, True],
            "text": ["a", " b", "NA", ""],
            "kind": pl.Series(["u", "v", "u", "v"], dtype=pl.Categorical),
            "y": [1.0, 2.0, 3.0, 4.0],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    one, two = (encoded(read_table(tmp_path / name)) for name in ("t.parquet", "t.csv"))
    assert one[0] == two[0]
    assert np.array_equal(one[1], two[1])


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is empty"),
        ("a,b\n", "has no rows"),
        ("\na,b\n1,2\n", "the first line is blank"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the header has 2"),
    ],
)
def test_files_that_are_no_tables(table, text, message):
    with pytest.raises(ValueError, match=message):
        table(text)
    with pytest.raises(ValueError, match="cannot be read as a table"):
        table("a,b\n1,2\n", "table.parquet")


def test_missing_file_and_latin_text(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "nothing.csv")
    (tmp_path / "latin.csv").write_bytes("a,b\n1,é\n".encode("latin-1"))
    with pytest.raises(ValueError, match="it is not UTF-8 text"):
        read_table(tmp_path / "latin.csv")


def test_without_polars_the_message_gives_the_command():
    code = "import sys; sys.modules['polars'] = None; import fastnn.tables"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.splitlines()[-1].endswith("install it with: pip install polars")


def test_numbers_are_standardized(table):
    encoder, X = encoded(table("a,b,y\n1,-1e3,1\n2,1e3,2\n6,0,3\n"))
    assert encoder.input_names == ["a", "b"]
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(X.std(axis=0), 1, rtol=1e-6)
    assert X.dtype == np.float32


def test_rounding_is_no_spread(table):
    encoder, X = encoded(table("a,b,y\n" + f"0.3,1e-20,1\n{0.1 + 0.2!r},3e-20,2\n" * 20))
    assert not X[:, 0].any() and set(X[:, 1]) == {-1, 1}
    assert encoder.encode(table("a,b\n0.31,5e-20\n")).tolist() == [[0, 3]]


@pytest.mark.parametrize("value", ["0", "0.1", "-3e7", "1e300"])
def test_constant_column_is_zero(table, value):
    encoder, X = encoded(table(f"a,y\n{value},1\n{value},2\n{value},3\n"))
    assert np.array_equal(X, np.zeros((3, 1)))
    # Its weights are as they were drawn, so that other values later must not count.
    assert np.array_equal(encoder.encode(table("a\n7\n-7\n")), np.zeros((2, 1)))


def test_missing_numbers_are_the_median_and_flagged(table):
    frame = table("a,y\n1,1\n,2\n2,3\n9,4\n")
    encoder, X = encoded(frame)
    assert encoder.input_names == ["a", "a=missing"]
    assert X[:, 1].tolist() == [0, 1, 0, 0]
    assert X[1, 0] == X[2, 0]  # the median is 2


def test_missing_only_later_is_the_median(table):
    encoder, _ = encoded(table("a,b,y\n1,u,1\n3,v,2\n"))
    X = encoder.encode(table("a,b\n,\n2,u\n"))
    assert encoder.input_names == ["a", "b=u", "b=v"]
    assert np.array_equal(X, [[0, 0, 0], [0, 1, 0]])


def test_texts_have_an_input_each(table):
    encoder, X = encoded(table("color,y\nred,1\nblue,2\n,3\nred,4\n"))
    assert encoder.input_names == ["color=blue", "color=red", "color=missing"]
    assert np.array_equal(X, [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    later = table("color,other\ngreen,1\nblue,2\n")
    assert np.array_equal(encoder.encode(later), [[0, 0, 0], [1, 0, 0]])
    assert encoder.unseen(later) == [
        "column 'color' holds texts not seen in training in 1 of 2 rows, "
        "the first 'green' in data row 1",
        "columns that the training table did not have are ignored: 'other'",
    ]


def test_statistics_come_from_the_given_rows(table):
    frame = table("a,c,y\n1,u,0\n3,v,2\n1000,w,70\n")
    encoder = TableEncoder.fit(frame, "y", rows=[0, 1])
    assert encoder.input_names == ["a", "c=u", "c=v"]
    assert (encoder.columns[0].mean, encoder.columns[0].scale) == (2, 1)
    assert (encoder.mean, encoder.scale) == (1, 1)


def test_many_texts_keep_the_frequent(table):
    rows = [f"t{i:03d},1" for i in range(150)] * 2 + ["often,2"] * 3
    encoder, X = encoded(table("a,y\n" + "\n".join(rows) + "\n"))
    assert len(encoder.input_names) == 100 and "a=often" in encoder.input_names
    assert encoder.notes == ("column 'a' only its 100 most frequent texts are used",)
    assert set(X.sum(axis=1)) == {0, 1}


def test_columns_that_are_ignored(table):
    rows = "".join(f"2024-01-{i:02d},name {i},,{i % 7},{i}\n" for i in range(1, 31))
    encoder, X = encoded(table("day,name,none,a,y\n" + rows))
    assert encoder.input_names == ["a"] and X.shape == (30, 1)
    day, name, none = encoder.notes
    assert "'day' holds dates or times: ignored" in day
    assert (
        "'name' holds 30 different texts in 30 rows, the first 'name 1' in data row 1: ign" in name
    )
    assert "'none' holds no values: ignored" in none


def test_parquet_types_that_are_ignored():
    frame = pl.DataFrame({"a": [1, 2], "l": [[1], [2]], "y": [1, 2]}).with_columns(
        t=pl.date(2024, 1, pl.col("a"))
    )
    encoder, _ = encoded(frame)
    assert encoder.input_names == ["a"]
    assert "List" in encoder.notes[0] and "dates or times" in encoder.notes[1]


def test_a_few_texts_among_numbers_are_refused(table):
    message = "cannot be read as such in 1 of 4 rows, the first 'abc' in data row 3"
    with pytest.raises(ValueError, match=message):
        encoded(table("a,y\n1,1\n2,2\nabc,3\n4,4\n"))


def test_no_column_left(table):
    with pytest.raises(ValueError, match="no column is left to predict 'y' from; column 'a' holds"):
        encoded(table("a,y\n,1\n,2\n"))


def test_encoding_refuses_what_does_not_fit(table):
    encoder, _ = encoded(table("a,b,y\n1,5,1\n2,6,2\n"))
    with pytest.raises(ValueError, match="missing columns: 'a', 'b'"):
        encoder.encode(table("c\n1\n"))
    with pytest.raises(ValueError, match="'b' held numbers in training; data row 2 holds 'x'"):
        encoder.encode(table("a,b\n1,1\n1,x\n"))
    with pytest.raises(ValueError, match="column 'a' is infinite or too large in data row 1"):
        encoder.encode(table("a,b\n1e99,1\n"))
    with pytest.raises(ValueError, match="column 'a' is infinite or too large in data row 3"):
        encoded(table("a,y\n1,1\n2,2\ninf,3\n"), rows=[0, 1])


@pytest.mark.parametrize("value", ["inf", "1e308"])
def test_numbers_too_large_to_standardize(table, value):
    with pytest.raises(ValueError, match="column 'a' holds infinite or too large numbers"):
        encoded(table(f"a,y\n1,1\n-{value},2\n{value},3\n"))


def test_an_infinite_target(table):
    frame = table("a,y\n1,1\n2,2\n3,inf\n")
    with pytest.raises(ValueError, match="column 'y' holds infinite or too large numbers"):
        TableEncoder.fit(frame, "y")
    with pytest.raises(ValueError, match="column 'y' is infinite or too large in data row 3"):
        TableEncoder.fit(frame, "y", rows=[0, 1]).encode_target(frame)


def test_regression_target_and_back(table):
    frame = table("a,y\n1,10\n2,20\n3,60\n")
    encoder = TableEncoder.fit(frame, "y")
    y = encoder.encode_target(frame)
    assert y.shape == (3, 1) and y.dtype == np.float32 and encoder.task == "regression"
    np.testing.assert_allclose(encoder.decode(y), [10, 20, 60], rtol=1e-6)


@pytest.mark.parametrize(
    "values, task, classes",
    [
        (["spam", "ham", "spam"], None, ("ham", "spam")),
        (["True", "false", "true"], None, ("false", "true")),
        (["10", "9", "10"], "classification", ("9", "10")),
    ],
)
def test_classes_and_back(table, values, task, classes):
    frame = table("a,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)))
    encoder = TableEncoder.fit(frame, "y", task)
    labels = encoder.encode_target(frame)
    assert encoder.task == "classification" and encoder.classes == classes
    assert labels.dtype == np.int64 and labels.shape == (3,)
    assert encoder.decode(np.eye(2)[labels]).tolist() == frame["y"].to_list()


@pytest.mark.parametrize(
    "text, task, message",
    [
        ("a\n1\n", None, "no column 'y'; there are 'a'"),
        ("a,y\n1,2\n2,\n3,NA\n", None, "'y' has no value in 2 of 3 rows, the first of .* row 2"),
        (
            "a,y\n1,2\n2,b\n",
            "regression",
            "needs numbers; target column 'y' holds 'b' in data row 2",
        ),
        ("a,y\n1,b\n2,b\n", None, "one class only, 'b'"),
        ("a,y\n" + "".join(f"1,n{i}\n" for i in range(30)), None, "30 different values in 30 rows"),
        ("a,y\n1,2\n", "ranking", "task must be"),
    ],
)
def test_targets_that_are_refused(table, text, task, message):
    with pytest.raises(ValueError, match=message):
        read_target(table(text), "y", task)


def test_a_date_is_no_class():
    frame = pl.DataFrame({"a": [1, 2]}).with_columns(y=pl.date(2024, 1, pl.col("a")))
    with pytest.raises(ValueError, match="has the type Date; wanted classes"):
        read_target(frame, "y")


@pytest.mark.parametrize("target", ["price", "color"])
def test_json_round_trip(table, target):
    frame = table("size,color,price\n1.5,red,10\n,blue,20\n3,red,30\n")
    encoder, X = encoded(frame, target)
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    assert np.array_equal(again.encode(frame), X)
    y = encoder.encode_target(frame)
    assert np.array_equal(again.encode_target(frame), y)
    assert again.to_dict() == encoder.to_dict()
