"""The tokenizer of simulated models: words that it knows, and bytes."""

import re
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from workers.simulated.vocabulary import END, END_TEXT, IDS, TOKENS
from workers.token_bytes import TokenBytes

_PIECE = re.compile(rf"{re.escape(END_TEXT)}| ?[A-Za-z]+|.", re.DOTALL)
_MESSAGE = "{role}:\n{content}\n"


class SimulatedTokenizer:
    """Reads and writes the vocabulary of `workers.simulated.vocabulary`.

    It has no state, so that all engines and threads may share one. Its chat template renders a
    message as its role and its text, whatever the model's own would make of it: an answer in the
    next turn's prompt has the tokens that it was generated with.
    """

    chat_template = _MESSAGE
    bos_token = None
    added_tokens_decoder: dict[int, Any] = {  # noqa: RUF012
        END: SimpleNamespace(content=END_TEXT, special=True)
    }

    def apply_chat_template(self, conversation: Any, **arguments: Any) -> str:
        """Render messages, up to where the answer begins."""
        text = "".join(_MESSAGE.format_map(message) for message in conversation)
        if arguments.get("continue_final_message"):
            return text.removesuffix("\n")
        return text + "assistant:\n"

    def encode(self, text: str, **arguments: Any) -> list[int]:
        """Give a text's token ids, at most `max_length` of them."""
        tokens: list[int] = []
        for piece in _PIECE.findall(text):
            tokens += _encode(piece)
        return tokens[: arguments.get("max_length")]

    def decode(self, token_ids: list[int]) -> str:
        """Give the text of token ids; those that there are not have none."""
        known = (TOKENS[token] for token in token_ids if 0 <= token < len(TOKENS))
        return b"".join(known).decode("utf-8", "replace")


class VocabularyBytes(TokenBytes):
    """The bytes of the vocabulary's tokens."""

    def __init__(self) -> None:
        pass

    def is_special(self, token: int) -> bool:
        """Tell whether a token is no part of a text."""
        return token == END

    def of(self, token: int, decoded: str | None) -> bytes:
        """Give a token's bytes."""
        return TOKENS[token]


@lru_cache(maxsize=4096)
def _encode(piece: str) -> tuple[int, ...]:
    if piece == END_TEXT:
        return (END,)
    if piece in IDS:
        return (IDS[piece],)
    return tuple(piece.encode("utf-8", "replace"))
