import pytest

from common.digests import hex_digits, parse_digest
from common.errors import InvalidDigest


@pytest.mark.parametrize("separator", [":", "-"])
def test_both_spellings_are_normalised(separator: str) -> None:
    digest = parse_digest(f"sha256{separator}{'Ab' * 32}")
    assert digest == f"sha256:{'ab' * 32}"
    assert hex_digits(digest) == "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "g" * 64,
        "sha256:" + "a" * 64 + "\n",
        "../sha256:" + "a" * 64,
        "md5:" + "a" * 64,
        "a" * 64,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest, match="invalid digest format"):
        parse_digest(text)
