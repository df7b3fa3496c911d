import pytest

from common.gotemplate import Template, TemplateError
from common.gotemplate.json_text import NotJson, to_json
from common.gotemplate.values import Bound, NilSlice, Struct

POINT = Struct(
    "main.Point",
    {"X": 1, "Label": "", "Items": None, "Tags": NilSlice()},
    {"X": "x", "Label": "label,omitempty", "Items": "items,omitnil", "Tags": "tags"},
)
UNTAGGED = Struct("*main.Pair", {"B": 2, "A": "<a>"})


class Size(Bound, list[int]):
    type_name = "main.Size"

    def own_text(self) -> str:
        return "x".join(map(str, self))

    def json_value(self) -> object:
        return list(self)


class Ordered(Bound, dict[str, object]):
    type_name = "main.Ordered"

    def json_value(self) -> object:
        return dict(self)


DATA = {
    "point": POINT,
    "pair": UNTAGGED,
    "size": Size([3, 4]),
    "ordered": Ordered(z=1, a=2),
    "plain": {"z": 1, "a": 2},
    "never": NilSlice(),
    "empty": [],
    "image": b"\x01\xff",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .point }}", '{"x":1,"tags":null}'),
        ("{{ .pair }}", '{"B":2,"A":"\\u003ca\\u003e"}'),
        ("{{ .point.X }}{{ .pair.A }}", "1<a>"),
        ("{{ .size }} {{ len .size }} {{ index .size 1 }}", "3x4 2 4"),
        ('{{ printf "%s|%5v|%d|%x" .size .size .size .size }}', "3x4|  3x4|[3 4]|337834"),
        ("{{ .ordered }} {{ .plain }}", '{"z":1,"a":2} map[a:2 z:1]'),
        ("{{ range $k, $v := .ordered }}{{ $k }}{{ end }}", "za"),
        ("{{ range $k, $v := .plain }}{{ $k }}{{ end }}", "az"),
        ("{{ .never }}{{ .empty }} {{ eq .never nil }} {{ eq .empty nil }}", "[][] true false"),
        ("{{ .image }} {{ len .image }} {{ index .image 1 }}", "[1 255] 2 255"),
        ("{{ eq .pair .pair }} {{ eq .pair nil }}", "true false"),
        ("{{ if .point }}{{ if not .never }}yes{{ end }}{{ end }}", "yes"),
    ],
)
def test_values_of_named_types(text: str, expected: str) -> None:
    assert Template.parse(text).execute(DATA) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ with .point }}{{ .Y }}{{ end }}", "<.Y>: can't evaluate field Y in type main.Point"),
        ("{{ $p := .pair }}{{ $p.C }}", "<$p.C>: can't evaluate field C in type *main.Pair"),
        ("{{ with .size }}{{ .x }}{{ end }}", "<.x>: can't evaluate field x in type main.Size"),
        ("{{ index .pair 0 }}", "can't index item of type main.Pair"),
        ("{{ eq .point .point }}", "non-comparable type"),
        ('{{ eq .size "3x4" }}', "incompatible types for comparison: main.Size and string"),
    ],
)
def test_errors_name_their_types(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse(text).execute(DATA)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (1.0, "1"),
        (1.5, "1.5"),
        (-0.0, "-0"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        ('a"\\\n\x01é<>&\u2028\x7f', '"a\\"\\\\\\n\\u0001é\\u003c\\u003e\\u0026\\u2028\x7f"'),
        ("\udcc3\udca9 \udcff", '"é \\ufffd"'),
        ({"b": [1.0, {}], "a": []}, '{"a":[],"b":[1,{}]}'),
        (b"\x00img", '"AGltZw=="'),
        ([POINT, UNTAGGED], '[{"x":1,"tags":null},{"B":2,"A":"\\u003ca\\u003e"}]'),
    ],
)
def test_json_is_go_s(value: object, expected: str) -> None:
    assert to_json(value) == expected


def test_json_has_no_infinite_numbers() -> None:
    with pytest.raises(NotJson):
        to_json([float("inf")])
