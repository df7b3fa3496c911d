"""Tables as scripts cut them."""

from cli.tables import table_lines


def test_columns_begin_below_each_other() -> None:
    rows = [("NAME", "ID"), ("a-long-name", "1"), ("b", "22")]
    assert table_lines(rows) == ["NAME           ID", "a-long-name    1", "b              22"]


def test_wide_characters_take_two_places() -> None:
    assert table_lines([("模型", "x"), ("abcd", "y")]) == ["模型    x", "abcd    y"]


def test_rows_of_unequal_length() -> None:
    assert table_lines([("a",), ("b", "c")]) == ["a", "b    c"]
