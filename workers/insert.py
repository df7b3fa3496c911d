"""Filling in the middle with a model's own tokens for it."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class InsertTokens:
    """The tokens that mark the text before the hole, the text after it, and the answer."""

    prefix: str
    suffix: str
    middle: str
    suffix_first: bool = False

    def prompt(self, prefix: str, suffix: str) -> str:
        """Give the prompt that the text between `prefix` and `suffix` continues."""
        before, after = self.prefix + prefix, self.suffix + suffix
        return (after + before if self.suffix_first else before + after) + self.middle

    def exist(self, vocabulary: Collection[str]) -> bool:
        """Tell whether a tokenizer has them."""
        return all(
            token in vocabulary for token in (self.prefix, self.suffix, self.middle) if token
        )


# As the models' cards describe them.
_FAMILIES = (
    # Qwen2.5-Coder, CodeGemma, Granite 4
    InsertTokens("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    # StarCoder, Granite Code, Refact, Stable Code
    InsertTokens("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    # SantaCoder
    InsertTokens("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    # DeepSeek-Coder
    InsertTokens("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001
    InsertTokens("<|fim_begin|>", "<|fim_hole|>", "<|fim_end|>"),
    # Code Llama
    InsertTokens("▁<PRE>", "▁<SUF>", "▁<MID>"),
    InsertTokens("<PRE>", "<SUF>", "<MID>"),
    # GLM
    InsertTokens("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    # Codestral
    InsertTokens("[PREFIX]", "[SUFFIX]", "", suffix_first=True),
)


def insert_tokens(vocabulary: Collection[str]) -> InsertTokens | None:
    """Find the tokens among those that were added to a tokenizer; None: it has none."""
    return next((family for family in _FAMILIES if family.exist(vocabulary)), None)


def sizes(longest: int) -> list[int]:
    """Give numbers of characters, each a tenth less than the one before, down to none."""
    found = [longest]
    while found[-1]:
        found.append(found[-1] * 9 // 10)
    return found


def around_hole(prefix: str, suffix: str, size: int) -> tuple[str, str]:
    """Give what is nearest to the hole, at most `size` characters of both texts together.

    Three quarters of it are from before the hole where there is enough on both sides.
    """
    size = min(size, len(prefix) + len(suffix))
    after = min(len(suffix), max(size // 4, size - len(prefix)))
    return prefix[len(prefix) - (size - after) :], suffix[:after]
