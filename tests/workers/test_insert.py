from itertools import pairwise

import pytest

from workers.insert import around_hole, insert_tokens, sizes


@pytest.mark.parametrize(
    ("vocabulary", "prompt"),
    [
        (
            ["<|fim_middle|>", "<|fim_suffix|>", "<|fim_prefix|>", "<|im_end|>"],
            "<|fim_prefix|>A<|fim_suffix|>B<|fim_middle|>",
        ),
        (
            ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>"],
            "<fim_prefix>A<fim_suffix>B<fim_middle>",
        ),
        (
            ["<fim-prefix>", "<fim-suffix>", "<fim-middle>"],
            "<fim-prefix>A<fim-suffix>B<fim-middle>",
        ),
        (
            ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],  # noqa: RUF001
            "<｜fim▁begin｜>A<｜fim▁hole｜>B<｜fim▁end｜>",  # noqa: RUF001
        ),
        (["▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"], "▁<PRE>A▁<SUF>B▁<MID>"),
        (
            ["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"],
            "<|code_prefix|>A<|code_suffix|>B<|code_middle|>",
        ),
        (["[PREFIX]", "[SUFFIX]", "[MIDDLE]", "[INST]"], "[SUFFIX]B[PREFIX]A"),
    ],
)
def test_families(vocabulary: list[str], prompt: str) -> None:
    tokens = insert_tokens(vocabulary)
    assert tokens
    assert tokens.prompt("A", "B") == prompt


@pytest.mark.parametrize("vocabulary", [[], ["<s>"], ["<|fim_prefix|>", "<|fim_middle|>"]])
def test_models_that_do_not_insert(vocabulary: list[str]) -> None:
    assert insert_tokens(vocabulary) is None


@pytest.mark.parametrize(
    ("prefix", "suffix", "size", "expected"),
    [
        ("abcdefgh", "12345678", 16, ("abcdefgh", "12345678")),
        ("abcdefgh", "12345678", 99, ("abcdefgh", "12345678")),
        ("abcdefgh", "12345678", 8, ("cdefgh", "12")),
        ("ab", "12345678", 8, ("ab", "123456")),
        ("abcdefgh", "1", 8, ("bcdefgh", "1")),
        ("abcdefgh", "12345678", 0, ("", "")),
    ],
)
def test_what_is_nearest_to_the_hole_stays(
    prefix: str, suffix: str, size: int, expected: tuple[str, str]
) -> None:
    assert around_hole(prefix, suffix, size) == expected


def test_sizes_fall_to_nothing() -> None:
    found = sizes(1000)
    assert found[0] == 1000
    assert found[-1] == 0
    assert all(after < before for before, after in pairwise(found))
    assert sizes(0) == [0]
