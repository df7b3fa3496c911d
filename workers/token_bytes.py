"""What bytes a token of the vocabulary stands for, be they a whole character or not."""

import re
from typing import Any

# How tokenizers write a byte that is not a text of its own, and a space.
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"


class TokenBytes:
    """The bytes of a tokenizer's tokens.

    Vocabularies of Hugging Face's tokenizers come in two kinds: with every byte as a
    printable character (GPT-2's), or as texts beside some bytes in hexadecimal
    (SentencePiece's). For any other the text that was decoded has to do.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        added = getattr(tokenizer, "added_tokens_decoder", {})
        # Those that only decoding knows to be special are not among the tokenizer's own.
        self._special: frozenset[int] = frozenset(tokenizer.all_special_ids).union(
            number for number, token in added.items() if token.special
        )
        self._added: dict[int, str] = {
            number: text for text, number in tokenizer.get_added_vocab().items()
        }
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = repr(backend.decoder) if backend else ""
        self._is_byte_level = "ByteLevel(" in decoder
        self._is_textual = _SPACE in decoder or "ByteFallback(" in decoder

    def is_special(self, token: int) -> bool:
        """Tell whether a token is left out of a text that is to have no special tokens."""
        return token in self._special

    def of(self, token: int, decoded: str | None) -> bytes:
        """Give a token's bytes; `decoded` is what the token is as a text alone, if it is known."""
        if token in self._added:
            return self._added[token].encode()
        piece: str | None = self._tokenizer.convert_ids_to_tokens(token)
        if piece and self._is_byte_level and all(character in _BYTES for character in piece):
            return bytes(_BYTES[character] for character in piece)
        if piece and self._is_textual:
            byte = _BYTE.fullmatch(piece)
            return bytes.fromhex(byte[1]) if byte else piece.replace(_SPACE, " ").encode()
        text: str = self._tokenizer.decode([token]) if decoded is None else decoded
        return text.encode()


def _printable_bytes() -> dict[str, int]:
    """Give GPT-2's alphabet: printable bytes are themselves, the others follow from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(0x100 + index): byte for index, byte in enumerate(others)}


_BYTES = _printable_bytes()
