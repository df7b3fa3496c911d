"""The data over which the templates of these tests run.

Every expected text of the tables is what Go's own `text/template` gives, with
`missingkey=zero`, as Ollama has it.
"""

DATA: dict[str, object] = {
    "name": "abc",
    "accents": "héllo",
    "empty": "",
    "three": 3,
    "zero": 0,
    "half": 1.5,
    "million": 1000000.0,
    "yes": True,
    "no": False,
    "nothing": None,
    "letters": ["a", "b", "c"],
    "none": [],
    "mixed": [1.0, "x", None, True, ["y"]],
    "map": {"b": 2, "a": "one", "deep": {"x": "y"}},
    "rows": [{"n": "1"}, {"n": "2"}],
    "odd": "a\"b\\\n<&>'\u2028\x01é",
}
