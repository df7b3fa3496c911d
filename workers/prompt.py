"""From a chat or a completion to the token ids that the engine continues."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from common.errors import CapabilityMissing
from common.model_template import ModelTemplate
from common.names import ModelName
from protos.paddock.v1 import generation_pb2, model_pb2
from protos.paddock.v1.generation_pb2 import Completion, Generation, Message, Think
from workers.conversation import Conversation
from workers.draft import Draft
from workers.engine import Prompt, PromptEngine, Tokenizer
from workers.fitting import Fitter
from workers.image_places import Placeholder
from workers.insert import around_hole, insert_tokens, sizes
from workers.slot import ReadyEngine
from workers.template_prompt import render_insert
from workers.window import refuse_hopeless

# Bytes of a request whose prompt takes a noticeable time to make.
_LARGE = 500_000
# Of one whose prompt should take none.
_SMALL = 1_000


async def make_prompt(
    ready: ReadyEngine, spec: model_pb2.ModelSpec, generation: Generation
) -> Prompt:
    """Make the prompt of a request, on one of the engine's threads for that; see `render`.

    What takes long, or may, does not hold up the others.
    """
    costly = generation.own_template or generation.ByteSize() > _LARGE
    return await ready.render(
        lambda tokenizer: render(ready.engine, spec, generation, tokenizer),
        small=is_small(generation),
        costly=costly,
    )


def is_small(generation: Generation) -> bool:
    """Tell whether a request should not take any time before it is computed."""
    return generation.ByteSize() <= _SMALL and not generation.own_template


async def show_prompt(
    ready: ReadyEngine, spec: model_pb2.ModelSpec, generation: Generation
) -> generation_pb2.RenderedPrompt:
    """Make the prompt of a request to look at, with the text of its `context` before it."""
    prompt = await make_prompt(ready, spec, generation)
    context = list(generation.completion.context)
    earlier = await ready.render(lambda tokenizer: tokenizer.decode(context)) if context else ""
    return generation_pb2.RenderedPrompt(text=earlier + prompt.text, images=len(prompt.images))


def render(
    engine: PromptEngine,
    spec: model_pb2.ModelSpec,
    generation: Generation,
    tokenizer: Tokenizer | None = None,
) -> Prompt:
    """Give the prompt of a request to a model.

    A chat goes through the request's or the model's Go template, else through the tokenizer's
    own. A completion is a chat of its system prompt, its history and the prompt, after the
    ids of its `context`. A raw one is taken as it is. A prompt that is longer than the window
    is shortened where the request allows it; see `workers.truncation`. `tokenizer` is the
    engine's, or a copy of it.

    Raises:
        InvalidRequest: the template is wrong or refuses the messages, the prompt is longer
            than the window and must not be shortened, or it has other places for images
            than images.
        CapabilityMissing: images for a model that does not see, a suffix for one that does
            not insert.
    """
    return _PromptMaker(engine, spec, generation, tokenizer or engine.tokenizer).make()


class _PromptMaker:
    """One request's way to its prompt."""

    def __init__(
        self,
        engine: PromptEngine,
        spec: model_pb2.ModelSpec,
        generation: Generation,
        tokenizer: Tokenizer,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._placeholder = Placeholder(engine.image_placeholder or "")
        self._spec = spec
        self._generation = generation
        self._fitter = Fitter(
            self._tokenizer, self._placeholder, generation, engine.limits.context_length
        )

    def make(self) -> Prompt:
        """Make it; see `render`."""
        generation, completion = self._generation, self._generation.completion
        if generation.HasField("truncate") and not generation.truncate:
            refuse_hopeless(generation, self._engine.limits.context_length)
        if generation.HasField("chat"):
            return self._conversation(list(generation.chat.messages))
        if completion.raw:
            return self._raw(completion)
        if completion.suffix:
            return self._insert(completion)
        return self._continuation(completion)

    def _raw(self, completion: Completion) -> Prompt:
        self._require_sight(completion.images)
        placed = self._placeholder.place_by_hand(completion.prompt, completion.images)
        return self._fitter.whole_or_cut(Draft(placed.text, placed.images))

    def _insert(self, completion: Completion) -> Prompt:
        prefix, suffix, write = completion.prompt, completion.suffix, self._insert_writer()
        return self._fitter.largest(
            sizes(len(prefix) + len(suffix)),
            lambda size: self._after_context(write(*around_hole(prefix, suffix, size))),
        )

    def _after_context(self, text: str, images: Sequence[bytes] = ()) -> Draft:
        """Give the draft of a text that goes on from the request's context."""
        # The images of a context did not come along, so their places go as well.
        places = self._placeholder.special_tokens(self._tokenizer)
        given = self._generation.completion.context
        context = [token for token in given if token not in places]
        if not context:
            return Draft(text, images)
        text = text.removeprefix(self._tokenizer.bos_token or "")
        return Draft(text, images, is_marked=True, context=context)

    def _insert_writer(self) -> Callable[[str, str], str]:
        """Give what makes a prompt of the texts before and after a hole."""
        if self._generation.template:
            template = ModelTemplate.parse(self._generation.template)
            return lambda prefix, suffix: render_insert(
                template, Completion(prompt=prefix, suffix=suffix)
            )
        added = {token.content for token in self._tokenizer.added_tokens_decoder.values()}
        tokens = insert_tokens(added)
        if tokens is None:
            name = ModelName.parse(self._spec.name)
            full = f"{name.host}/{name.namespace}/{name.model}:{name.tag}"
            raise CapabilityMissing(f"{full} does not support insert")
        return tokens.prompt

    def _continuation(self, completion: Completion) -> Prompt:
        user = Message(role="user", content=completion.prompt, images=completion.images)
        messages = [*completion.history, user]
        if completion.system:
            messages.insert(0, Message(role="system", content=completion.system))
        return self._conversation(messages)

    def _conversation(self, messages: Sequence[Message]) -> Prompt:
        self._require_sight(image for message in messages for image in message.images)
        conversation = Conversation(
            self._tokenizer, self._placeholder, self._generation, self._think
        )

        def draft(kept: Sequence[Message]) -> Draft:
            placed = conversation.render(kept)
            after = self._after_context(placed.text, placed.images)
            return after if after.context else replace(after, is_marked=conversation.is_marked)

        return self._fitter.newest(messages, draft)

    def _require_sight(self, images: Iterable[bytes]) -> None:
        if self._engine.image_placeholder is None and any(True for _ in images):
            raise CapabilityMissing(f'"{self._spec.name}" does not support images')

    @property
    def _think(self) -> Think.ValueType:
        asked = self._generation.think
        if asked == generation_pb2.THINK_UNSPECIFIED and "thinking" in self._spec.capabilities:
            return generation_pb2.THINK_ON
        return asked
