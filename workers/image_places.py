"""Where the images of a prompt are: the engine's placeholder stands once for each of them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import InvalidRequest
from protos.paddock.v1.generation_pb2 import Message
from workers.engine import Tokenizer

# With it a client says where in a message's content an image belongs; else it comes first.
_MARK = "[img]"
_TAG = re.compile(r"\[img-(\d{1,9})\]")


@dataclass(frozen=True)
class Placed:
    """A text with placeholders, and the images that they stand for, in order."""

    text: str
    images: Sequence[bytes] = ()


@dataclass(frozen=True)
class Placeholder:
    """An engine's placeholder; empty where its model finds the places by itself."""

    text: str

    def replace_tags(self, text: str, images: Sequence[bytes]) -> Placed:
        """Put placeholders where `[img-N]` stands for image N; without a tag an image is gone.

        Raises:
            InvalidRequest: an image's tag occurs twice.
        """
        if not images:
            return Placed(text)
        seen: list[int] = []

        def place(tag: re.Match[str]) -> str:
            number = int(tag[1])
            if number >= len(images):
                return tag[0]
            if number in seen:
                raise InvalidRequest(f"the prompt names its image {tag[0]} twice")
            seen.append(number)
            return self.text

        return Placed(_TAG.sub(place, text), [images[number] for number in seen])

    def place_by_hand(self, text: str, images: Sequence[bytes]) -> Placed:
        """Leave placeholders as they are, else take tags for them, else put the images first.

        Raises:
            InvalidRequest: an image's tag occurs twice.
        """
        if self.text and self.text in text:
            return Placed(text, images)
        placed = self.replace_tags(text, images)
        if len(placed.images) == len(images):
            return placed
        return Placed(self.insert(Message(content=text, images=images)), images)

    def insert(self, message: Message) -> str:
        """Give a message's content with a placeholder for each of its images."""
        pieces = split_at_images(message)
        return "".join(self.text if piece is None else piece for piece in pieces)

    def special_tokens(self, tokenizer: Tokenizer) -> Counter[int]:
        """Give the ids in it that no ordinary text has, and how often."""
        tokens = tokenizer.encode(self.text, add_special_tokens=False) if self.text else []
        return Counter(token for token in tokens if token in tokenizer.added_tokens_decoder)

    def check(self, tokenizer: Tokenizer, text: str, tokens: Sequence[int], images: int) -> None:
        """Check that a prompt has a place for each image and no other.

        A message's text could have brought more, and the engine would not survive it or mix
        the images up.

        Raises:
            InvalidRequest: it has others.
        """
        if not self.text:
            return
        wrong = text.count(self.text) != images or any(
            tokens.count(token) != images * times
            for token, times in self.special_tokens(tokenizer).items()
        )
        if wrong:
            raise InvalidRequest(f"a text must not have the placeholder of images, {self.text}")


def split_at_images(message: Message) -> list[str | None]:
    """Split a message's content where its images belong; None stands for an image."""
    texts = message.content.split(_MARK, len(message.images))
    marked: list[str | None] = [texts[0]]
    for text in texts[1:]:
        marked += [None, text]
    first: list[str | None] = [None] * (len(message.images) + 1 - len(texts))
    return [piece for piece in first + marked if piece != ""]
