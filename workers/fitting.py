"""Fitting prompts into the window: the newest messages, or the ends of a text."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from common.errors import InvalidRequest
from protos.paddock.v1.generation_pb2 import Generation, Message
from workers.draft import Draft
from workers.engine import Prompt, Tokenizer
from workers.image_places import Placeholder
from workers.truncation import History, cut, first_that_fits
from workers.window import LONGEST_TOKEN, TOO_LONG, window

# Tokens that an image is taken for while it is decided which messages stay, as in Ollama.
# The engine knows the number only after it has processed the image.
_IMAGE_TOKENS = 768
_NUM_KEEP = 4


class Fitter:
    """Makes prompts of drafts for one request's window.

    Raises:
        InvalidRequest: a draft is too long and must not be shortened, or has other places for
            images than images.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        placeholder: Placeholder,
        generation: Generation,
        context_length: int,
    ) -> None:
        options = generation.options
        self._tokenizer = tokenizer
        self._placeholder = placeholder
        self._window = window(options, context_length)
        self._keep = options.num_keep if options.HasField("num_keep") else _NUM_KEEP
        self._truncates = not generation.HasField("truncate") or generation.truncate
        self._cuts = self._truncates and (not generation.HasField("shift") or generation.shift)

    def newest(
        self, messages: Sequence[Message], draft: Callable[[Sequence[Message]], Draft]
    ) -> Prompt:
        """Give the prompt of as many of the newest messages as fit, cut if it is the last alone."""
        if not self._truncates:
            return self.whole_or_cut(draft(messages))
        history = History(messages)
        starts = history.starts(self._window, LONGEST_TOKEN)

        def attempt(start: int) -> Prompt | None:
            shortened = draft(history.since(start))
            return self._whole(shortened, reserve=_IMAGE_TOKENS * len(shortened.images))

        if starts[:1] == [0] and (whole := attempt(0)):
            return whole
        try:
            found = first_that_fits(starts[1:], attempt)
        except InvalidRequest:
            # Some chat templates want a user to speak first, or the turns to alternate.
            found = first_that_fits(history.turns(starts[1:]), _or_none(attempt))
        if found:
            return found
        try:
            shortest = draft(history.since(starts[-1] if starts else 0))
        except InvalidRequest:
            shortest = draft(messages)
        return self.whole_or_cut(shortest)

    def largest(self, sizes: Sequence[int], draft: Callable[[int], Draft]) -> Prompt:
        """Give the prompt of the first of falling sizes that fits.

        Where it is not the first of all, half of the window is left free for the answer.
        """
        whole = self._whole(draft(sizes[0]))
        if whole:
            return whole
        if not self._cuts:
            raise InvalidRequest(TOO_LONG)
        reserve = self._window - 1 - sum(cut(self._window, self._keep))
        found = first_that_fits(sizes[1:], lambda size: self._whole(draft(size), reserve))
        if found is None:
            raise InvalidRequest(TOO_LONG)
        return found

    def whole_or_cut(self, draft: Draft) -> Prompt:
        """Give all of a draft, or its ends. One with images is not cut, as in Ollama."""
        whole = self._whole(draft)
        if whole:
            return whole
        if not self._cuts or draft.images:
            raise InvalidRequest(TOO_LONG)
        # The token that marks the beginning stays beside those that the request keeps.
        keeps_mark = self._keep >= 0 and draft.begins_with_mark(self._tokenizer)
        tokens = draft.ends(self._tokenizer, *cut(self._window, self._keep + keeps_mark))
        return self._prompt(replace(draft, text=self._tokenizer.decode(tokens)), tokens)

    def _whole(self, draft: Draft, reserve: int = 0) -> Prompt | None:
        """Give all of a draft if it fits beside `reserve` tokens and one of the answer."""
        tokens = draft.tokens_within(self._tokenizer, self._window - 1 - reserve)
        return None if tokens is None else self._prompt(draft, tokens)

    def _prompt(self, draft: Draft, tokens: list[int]) -> Prompt:
        self._placeholder.check(self._tokenizer, draft.text, tokens, len(draft.images))
        return Prompt(tokens, draft.text, draft.images)


def _or_none(make: Callable[[int], Prompt | None]) -> Callable[[int], Prompt | None]:
    def attempt(start: int) -> Prompt | None:
        with suppress(InvalidRequest):
            return make(start)
        return None

    return attempt
