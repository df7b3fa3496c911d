"""What a request's prompt has in common with others, so that it can go where their cache lies.

An engine keeps what it computed of a prompt, and a conversation's next turn begins with the
same text. So a prompt is described by marks, each the hash of all text up to a place where
another prompt may part from it: the end of a message, or a length on the way through a long
one. Two prompts with an equal mark are equal up to there.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from protos.paddock.v1 import generation_pb2, model_pb2

# Of a prompt, in bytes; what comes after is not looked at. It takes about 1 ms to hash.
_LONGEST = 1 << 20
# Bytes of a text up to its first mark, and each next one as a factor of the one before.
_FIRST_MARK = 2048
_GROWTH = 1.5
# Bytes of a text without turns that count as its first words.
_OPENING = 1024
# Marks of one prompt: where conversations branch, and where they go on.
_FIRST_MARKS = 8
_LAST_MARKS = 56
# Bytes at either end of an image that stand for all of it.
_IMAGE_END = 512
# Tokens between two marks, each of four bytes: about as long as their text.
_TOKENS = 256


class Mark(NamedTuple):
    """A place in a prompt."""

    key: bytes
    """The hash of all before it."""
    length: int
    """Bytes before it."""


@dataclass(frozen=True)
class Prefix:
    """What a request's prompt may have in common with others; lengths are in bytes."""

    weights: str
    seed: bytes
    """What the marks of the model's every prompt begin with."""
    marks: tuple[Mark, ...]
    """From the shortest to the whole; at least one."""
    opening: Mark
    """Where the first words end, the same in all turns of a conversation."""
    asked: int = 0
    """Length of the last turn's prompt; 0 where a conversation begins."""
    answered: int = 0
    """Length of that and its answer."""

    @property
    def length(self) -> int:
        """Length of the whole."""
        return self.marks[-1].length

    def followed_by(self, context: Sequence[int]) -> tuple[Mark, ...]:
        """Give the marks of a next turn that begins with these tokens, if there are any."""
        return _chain(self.seed, _context_parts(context)).marks if context else ()


class _Part(NamedTuple):
    """A piece of a prompt that ends with a mark."""

    content: bytes
    opens: bool = False
    """The first words end here."""
    answers: bool = False
    """The model said it."""


def prefix_of(spec: model_pb2.ModelSpec, generation: generation_pb2.Generation) -> Prefix:
    """Describe a request's prompt, as the client sent it: before the model's own was merged in.

    What a manifest adds (template, system prompt, messages) is the same in all its prompts, so
    its digest stands for it. A thought is left out: most templates forget it.
    """
    seed = f"{spec.digest} {generation.template}\n".encode()
    chain = _chain(seed, _parts(generation))
    opening = chain.opening or chain.marks[0]
    return Prefix(spec.weights, seed, chain.marks, opening, chain.asked, chain.answered)


class _Chain(NamedTuple):
    marks: tuple[Mark, ...]
    opening: Mark | None
    asked: int
    answered: int


def _chain(seed: bytes, parts: Iterable[_Part]) -> _Chain:
    digest = blake2b(seed, digest_size=16)
    marks: list[Mark] = []
    opening: Mark | None = None
    length = asked = answered = 0
    for part in parts:
        if part.answers and answered < length:
            asked = length
        for piece in _pieces(part.content[: _LONGEST - length]):
            digest.update(piece)
            length += len(piece)
            marks.append(Mark(digest.digest(), length))
        if part.opens and opening is None and marks:
            opening = marks[-1]
        if part.answers:
            answered = length
        if length >= _LONGEST:
            break
    if len(marks) > _FIRST_MARKS + _LAST_MARKS:
        marks = marks[:_FIRST_MARKS] + marks[-_LAST_MARKS:]
    return _Chain(tuple(marks) or (Mark(digest.digest(), 0),), opening, asked, answered)


def _pieces(content: bytes) -> Iterator[bytes]:
    start, end = 0, _FIRST_MARK
    while start < len(content):
        yield content[start:end]
        start, end = end, int(end * _GROWTH)


def _parts(generation: generation_pb2.Generation) -> Iterator[_Part]:
    if generation.HasField("chat"):
        yield from _chat_parts(generation.chat)
    else:
        yield from _completion_parts(generation.completion)


def _chat_parts(chat: generation_pb2.Chat) -> Iterator[_Part]:
    for tool in chat.tools_json:
        yield _Part(b"tool " + _encoded(tool))
    for message in chat.messages:
        role = message.role
        yield _Part(_message(message), opens=role == "user", answers=role == "assistant")


def _message(message: generation_pb2.Message) -> bytes:
    calls = "".join(f"\n{call.name} {call.arguments_json}" for call in message.tool_calls)
    head = f"\n{message.role} {message.tool_name}{calls}\n"
    return head.encode() + _encoded(message.content) + _images(message.images)


def _completion_parts(completion: generation_pb2.Completion) -> Iterator[_Part]:
    if completion.context:
        yield from _context_parts(completion.context)
    else:
        yield _Part(f"raw {completion.raw}\n".encode() + _encoded(completion.system))
    text = _encoded(completion.prompt)
    yield _Part(text[:_OPENING], opens=True)
    yield _Part(text[_OPENING:] + _images(completion.images))


def _context_parts(context: Sequence[int]) -> Iterator[_Part]:
    """Cut a conversation in tokens, of which the model said the last."""
    tokens = array("i", context).tobytes()
    step = _TOKENS * 4
    for start in range(0, len(tokens), step):
        yield _Part(tokens[start : start + step], opens=True, answers=True)


def _images(images: Iterable[bytes]) -> bytes:
    return b"".join(
        b"\nimage %d " % len(image) + image[:_IMAGE_END] + image[-_IMAGE_END:] for image in images
    )


def _encoded(text: str) -> bytes:
    return text[:_LONGEST].encode(errors="replace")
