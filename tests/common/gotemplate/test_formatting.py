import pytest

from common.gotemplate import Template
from tests.common.gotemplate.data import DATA

VERBS: list[tuple[str, str, str]] = [
    (
        "%s|%10s|%-10s|%.2s|%05s|%q|%+q|%#q",
        '"héy"',
        'héy|       héy|héy       |hé|00héy|"héy"|"h\\u00e9y"|`héy`',
    ),
    ("%x|%X|% x|%#x|%# X", '"héy"', "68c3a979|68C3A979|68 c3 a9 79|0x68c3a979|0X68 0XC3 0XA9 0X79"),
    ("%q", ".odd", '"a\\"b\\\\\\n<&>\'\\u2028\\x01é"'),
    ("%+q", ".odd", '"a\\"b\\\\\\n<&>\'\\u2028\\x01\\u00e9"'),
    ("%d|%t|%5.1f|%z", '"hi"', "%!d(string=hi)|%!t(string=hi)|%!f(string=    h)|%!z(string=hi)"),
    ("%d|%5d|%-5d|%05d|%+d|% d", "42", "42|   42|42   |00042|+42| 42"),
    ("%x|%#x|%o|%#o|%O|%b|%#b", "42", "2a|0x2a|52|052|0o52|101010|0b101010"),
    ("%c|%3c|%q|%U|%#U|%s|%t", "42", "*|  *|'*'|U+002A|U+002A '*'|%!s(int=42)|%!t(int=42)"),
    ("%d|%5d|%05d|%x|%b", "-42", "-42|  -42|-0042|-2a|-101010"),
    ("%.3d|%8.3d|%-8.3d|%08.3d", "-42", "-042|    -042|-042    |    -042"),
    ("%.0d|%5.0d", "0", "|     "),
    ("%c|%q|%+q|%U", "128512", "😀|'😀'|'\\U0001f600'|U+1F600"),
    ("%c|%U", "-1", "�|U+FFFFFFFFFFFFFFFF"),
    (
        "%v|%f|%.2f|%8.3f|%-8.3f|%08.3f|%+f",
        "1.5",
        "1.5|1.500000|1.50|   1.500|1.500   |0001.500|+1.500000",
    ),
    ("% f", "1.5", " 1.500000"),
    (
        "%e|%E|%g|%G|%+.1e",
        "1234567.5",
        "1.234568e+06|1.234568E+06|1.2345675e+06|1.2345675E+06|+1.2e+06",
    ),
    ("%.3g|%d", "1234567.5", "1.23e+06|%!d(float64=1.2345675e+06)"),
    ("%08.3f|%-8.3f|%g", "-1.5", "-001.500|-1.500  |-1.5"),
    ("%t|%5t|%v|%s|%d", "true", "true| true|true|%!s(bool=true)|%!d(bool=true)"),
    ("%v|%s|%d|%5v", "nil", "<nil>|%!s(<nil>)|%!d(<nil>)|<nil>"),
    ("%v|%s|%d", ".letters", "[a b c]|[a b c]|[%!d(string=a) %!d(string=b) %!d(string=c)]"),
    ("%q|%x|%-3v", ".letters", '["a" "b" "c"]|[61 62 63]|[a   b   c  ]'),
    ("%v", ".map", "map[a:one b:2 deep:map[x:y]]"),
    ("%s", ".map", "map[a:one b:%!s(int=2) deep:map[x:y]]"),
    ("%v", ".mixed", "[1 x <nil> true [y]]"),
    ("%s", ".mixed", "[%!s(float64=1) x <nil> %!s(bool=true) [y]]"),
    ("%5.2f", ".mixed", "[ 1.00 %!f(string=    x) <nil> %!f(bool= true) [%!f(string=    y)]]"),
    ("%T|%v|%#v|%+v", '"a"', 'string|a|"a"|a'),
    ("%T", ".letters", "[]interface {}"),
]


@pytest.mark.parametrize(("verbs", "value", "expected"), VERBS)
def test_each_verb_writes_the_value(verbs: str, value: str, expected: str) -> None:
    arguments = f" {value}" * len(verbs.split("|"))
    assert Template.parse(f'{{{{ printf "{verbs}"{arguments} }}}}').execute(DATA) == expected


ARGUMENTS: list[tuple[str, str, str]] = [
    ("%*s|%-*s|%*d", '5 "x" 3 "y" -5 3', "    x|y  |3    "),
    ("%.*f|%*.*f", "2 3.14159 8 2 3.14159", "3.14|    3.14"),
    ("%*s|%.*f", '"a" "x" "b" 1.5', "%!(BADWIDTH)x|%!(BADPREC)1.500000"),
    ("%[2]d %[1]d", "1 2", "2 1"),
    ("%[3]d|%[1]d|%d", "1 2", "%!d(BADINDEX)|1|2"),
    ("%d %d", "1", "1 %!d(MISSING)"),
    ("%d", '1 2 "a" nil', "1%!(EXTRA int=2, string=a, <nil>)"),
    ("%d%%|%", "5", "5%|%!(NOVERB)"),
    ("%!", "1", "%!!(int=1)"),
    ("100%", "", "100%!(NOVERB)"),
]


@pytest.mark.parametrize(("verbs", "arguments", "expected"), ARGUMENTS)
def test_which_argument_is_taken(verbs: str, arguments: str, expected: str) -> None:
    assert Template.parse(f'{{{{ printf "{verbs}" {arguments} }}}}').execute(DATA) == expected
