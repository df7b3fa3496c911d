"""An engine's side of prompts for tests: one token a letter, and a template that shows all."""

import re
from dataclasses import dataclass, field
from typing import Any

import jinja2

from workers.engine import Limits

BOS = 1_000_001


@dataclass
class Token:
    content: str
    special: bool = True


@dataclass
class Recorder:
    """A tokenizer that keeps what it was asked; its added tokens are single ones."""

    chat_template: str | None = "some"
    bos_token: str | None = None
    added: tuple[str, ...] = ()
    refuses: str = ""
    """Why its template refuses a conversation that no user begins; empty: it does not."""
    conversation: Any = None
    arguments: dict[str, Any] = field(default_factory=dict)
    read: int = 0
    """Letters that it tokenized."""

    added_tokens_decoder: dict[int, Token] = field(init=False)

    def __post_init__(self) -> None:
        special = (*([self.bos_token] if self.bos_token else []), *self.added)
        self.added_tokens_decoder = {BOS + at: Token(text) for at, text in enumerate(special)}

    def apply_chat_template(self, conversation: Any, **arguments: Any) -> Any:
        if not conversation:
            raise jinja2.TemplateError("no messages")
        self.conversation, self.arguments = conversation, arguments
        roles = [message["role"] for message in conversation if message["role"] != "system"]
        if self.refuses and roles[:1] != ["user"]:
            raise jinja2.TemplateError(self.refuses)
        return "".join(f"[{message['role']}]{message['content']}" for message in conversation)

    def encode(self, text: str, **arguments: Any) -> list[int]:
        self.read += len(text)
        special = {token.content: number for number, token in self.added_tokens_decoder.items()}
        pattern = "|".join(map(re.escape, special))
        pieces = re.split(f"({pattern})", text) if special else [text]
        begins = [BOS] if self.bos_token and arguments.get("add_special_tokens", True) else []
        return begins + [
            number
            for piece in pieces
            for number in ([special[piece]] if piece in special else map(ord, piece))
        ]

    def decode(self, token_ids: list[int]) -> str:
        return "".join(
            self.added_tokens_decoder[token].content
            if token in self.added_tokens_decoder
            else chr(token)
            for token in token_ids
        )


@dataclass
class LetterEngine:
    """The part of an engine that prompts are made with."""

    tokenizer: Recorder = field(default_factory=Recorder)
    context_length: int = 10_000
    image_placeholder: str | None = None

    @property
    def limits(self) -> Limits:
        return Limits(self.context_length, max_sequences=1, accelerator=False)
