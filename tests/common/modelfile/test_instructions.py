import pytest

from common.errors import InvalidRequest
from common.modelfile.instructions import WRONG_NAME, WRONG_ROLE, read_instructions


def read(text: str) -> list[tuple[str, str, str]]:
    return [(found.name, found.subject, found.text) for found in read_instructions(text)]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("SYSTEM You are Mario.", "You are Mario."),
        ("system\t  spaces around  ", "spaces around"),
        ("  SYSTEM # is no comment here", "# is no comment here"),
        ("SYSTEM \n", ""),
        ('SYSTEM ""', ""),
        ('SYSTEM """"""', ""),
        ('SYSTEM "  kept  "', "  kept  "),
        ('SYSTEM "two\nlines"', "two\nlines"),
        ('SYSTEM "\nMario\n"  ', "\nMario\n"),
        ('SYSTEM """\nsay "hello"\n"""', '\nsay "hello"\n'),
        ('SYSTEM """say "hello""""', 'say "hello"'),
        ('SYSTEM """a """ b"""', 'a """ b'),
        ('SYSTEM "a" b\nc"', 'a" b\nc'),
        ('SYSTEM """windows\r\nlines"""\r\n', "windows\r\nlines"),
        ("SYSTEM 'single quotes are nothing'", "'single quotes are nothing'"),
        ('SYSTEM 5" of rain', '5" of rain'),
        ("SYSTEM 你好👋\u200d", "你好👋\u200d"),
    ],
)
def test_texts(line: str, text: str) -> None:
    assert read(line) == [("system", "", text)]


def test_a_whole_file() -> None:
    text = """
# a comment
  # another
FROM llama3.2
Parameter stop "User: "
PARAMETER  num_ctx\t4096

message assistant Hello: hello!
"""
    assert read(text) == [
        ("from", "", "llama3.2"),
        ("parameter", "stop", "User: "),
        ("parameter", "num_ctx", "4096"),
        ("message", "assistant", "Hello: hello!"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM x\nBADCOMMAND y\n", f"(line 2): {WRONG_NAME}"),
        ("\r\n\r\nFROM: x", f"(line 3): {WRONG_NAME}"),
        ("FROM\n", f"(line 1): {WRONG_NAME}"),
        ('SYSTEM """\n\n"""\nnope', "(line 4): unexpected EOF"),
        ('SYSTEM """\n\n"""\nnope\n', f"(line 4): {WRONG_NAME}"),
        ("PARAMETER stop\n", "(line 1): unexpected EOF: stop"),
        ("MESSAGE user", "(line 1): unexpected EOF: user"),
        ("MESSAGE \n", "(line 1): unexpected EOF: message"),
        ("MESSAGE badguy I'm bad!", f"(line 1): {WRONG_ROLE}"),
        (
            'FROM x\nSYSTEM """never closed""\n',
            "unexpected EOF: the quote that begins in line 2 is never closed",
        ),
        ('SYSTEM "', "unexpected EOF: the quote that begins in line 1 is never closed"),
        ('SYSTEM """""', "unexpected EOF: the quote that begins in line 1 is never closed"),
    ],
)
def test_what_breaks_the_grammar(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(text)
    assert raised.value.message == message


def test_the_names_are_listed_as_ollama_lists_them() -> None:
    assert WRONG_NAME == (
        'command must be one of "from", "license", "template", "system", "adapter", "draft", '
        '"renderer", "parser", "parameter", "message", or "requires"'
    )
