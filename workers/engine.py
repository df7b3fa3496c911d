"""The engine seam: what a worker needs of whatever computes tokens.

Everything behind it is replaceable: vLLM in production, a deterministic engine in tests.
One conformance suite runs over every implementation.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from protos.paddock.v1 import generation_pb2, model_pb2

DType = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Limits:
    """What an engine can hold."""

    context_length: int
    """Tokens of prompt and answer together."""
    max_sequences: int
    """Sequences that run at once; more wait in the engine's queue."""
    accelerator: bool
    """Whether the model lies in the memory of an accelerator."""


@dataclass(frozen=True)
class Occupancy:
    """How full an engine is, as of its last step."""

    running: int = 0
    """Sequences that it computes; others wait in its queue."""
    cache: float = 0.0
    """The share of its key-value cache that these take, between 0 and 1."""


@dataclass(frozen=True)
class Rest:
    """What an engine takes while it sleeps, in bytes."""

    host: int = 0
    """Of the machine's memory, for its weights; 0: it cannot sleep."""
    accelerator: int = 0
    """Of the memory that the budget is about."""


@dataclass(frozen=True)
class Plan:
    """How an engine will be started, decided before anything is allocated."""

    memory: int
    """Bytes it will take: weights, key-value cache and an estimate of the rest."""
    kv_cache: int = 0
    """Bytes of that for the key-value cache."""
    threads: int = 1
    """CPU threads that compute."""
    dtype: DType = "auto"
    """The type to compute in; "auto": the engine's choice."""
    context_length: int | None = None
    """The window to use; None: the model's own, or what of it the cache holds."""
    lora_rank: int = 0
    """The largest that an adapter may have; 0: the engine takes none."""
    max_adapters: int = 0
    """Adapters that run at once."""
    asleep: Rest = Rest()
    """What it will take while it sleeps."""
    compiles: bool = False
    """Whether it compiles the model."""


@dataclass(frozen=True)
class Timing:
    """Where the time of a sequence went, in nanoseconds."""

    prompt: int
    """From being scheduled to the first token."""
    completion: int
    """From the first token to the end."""


@dataclass(slots=True)
class Step:
    """What the engine added to one sequence since the step before."""

    text: str = ""
    tokens: Sequence[int] = ()
    logprobs: Sequence[generation_pb2.TokenLogprob] = ()
    reason: "generation_pb2.FinishReason.ValueType" = generation_pb2.FINISH_REASON_UNSPECIFIED
    """Set on the last step alone."""
    timing: Timing | None = field(default=None, compare=False)
    """Given with the last step, and with the first that the engine computed, as far as it is."""
    prompt_tokens: int = field(default=0, compare=False)
    """Of the prompt as it was computed, with those of its images; given with the timing."""


Take = Callable[[Step], bool]
"""Takes a step at once, or tells that it does not, as of the last one; this must not fail."""


@dataclass(frozen=True)
class Prompt:
    """What an engine continues."""

    tokens: Sequence[int]
    text: str = ""
    """What the tokens were made from, for looking at."""
    images: Sequence[bytes] = ()
    """Encoded files, in the order of their places among the tokens."""
    special_tokens: bool = False
    """Whether the answer's text shows the special tokens in it."""
    generated: Sequence[int] = ()
    """Tokens of the answer that another engine generated: it is gone on with after them.

    The steps begin with these again, one a step. Everything else is as if this engine had
    generated them: stop strings, format, limits, penalties, and that they may end the answer;
    then nothing is computed. Log probabilities that come with them may be any, but are as many.
    """


class Tokenizer(Protocol):
    """The part of transformers' tokenizers that prompts are made with."""

    chat_template: Any
    bos_token: Any
    added_tokens_decoder: Any

    def apply_chat_template(self, conversation: Any, **arguments: Any) -> Any:
        """Render messages with the model's own template."""

    def encode(self, text: str, **arguments: Any) -> list[int]:
        """Give a text's token ids."""

    def decode(self, token_ids: list[int]) -> str:
        """Give the text of token ids, special ones included."""


class PromptEngine(Protocol):
    """The part of an engine that prompts are made with."""

    @property
    def limits(self) -> Limits:
        """What it can hold."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer; not to be used by two threads at once."""

    @property
    def image_placeholder(self) -> str | None:
        """The text that stands for one image in a prompt; None: the model does not see.

        It is empty where the model finds its images' places by itself.
        """


class Engine(PromptEngine, Protocol):
    """One model, ready to run."""

    def generate(
        self, prompt: Prompt, generation: generation_pb2.Generation, take: Take | None = None
    ) -> AsyncGenerator[Step, None]:
        """Continue a prompt under the request's options, format and logprobs.

        The last step has a reason. While the next one is waited for an engine may offer it to
        `take`, and gives it only if that does not take it: this spares a turn of the event
        loop for every token. Closing the generator, or cancelling the task that iterates over
        it, frees the sequence within one engine step; nothing is offered from then on.

        Raises:
            InvalidRequest: options or format are wrong, or the prompt leaves no room.
            WorkerLost: the engine died.
        """

    async def adapt(self, name: str, folder: Path) -> "Engine":
        """Give this engine with a LoRA adapter, for as long as it runs.

        Args:
            name: tells adapters apart.
            folder: its files as PEFT has them; they are read again at any time.

        Raises:
            LoadFailed: the engine refused it, or takes none; the message is its reason.
            WorkerLost: the engine died.
        """

    async def embed(self, prompts: list[list[int]]) -> list[list[float]]:
        """Give one vector per prompt, as the model pools it, not normalised.

        Raises:
            CapabilityMissing: the model does not embed.
            WorkerLost: the engine died.
        """

    async def sleep(self) -> None:
        """Give the accelerator's memory back, but keep the weights; nothing may run.

        Called only where the plan says that it can.

        Raises:
            WorkerLost: the engine died.
        """

    async def wake(self) -> None:
        """Be as before it slept, but for what was in its caches.

        Raises:
            WorkerLost: the engine died.
        """

    @property
    def occupancy(self) -> Occupancy:
        """How full it is; asked for now and then, and so may not cost anything in between."""

    @property
    def alive(self) -> bool:
        """Whether it can still run anything."""

    async def died(self) -> None:
        """Return when it is not alive any more."""

    async def aclose(self) -> None:
        """End it and give its memory back; what still runs fails with `WorkerLost`."""


class EngineFactory(Protocol):
    """Starts engines."""

    def plan(self, spec: model_pb2.ModelSpec, folder: Path, budget: int) -> Plan:
        """Decide how to start a model whose files are in `folder`; may read files.

        `budget` is the worker's memory for all models, in bytes.

        Raises:
            InvalidModel: its files do not make a model.
            OutOfMemory: it does not fit into the budget at all.
        """

    async def start(self, spec: model_pb2.ModelSpec, folder: Path, plan: Plan) -> Engine:
        """Start an engine; when that fails nothing stays behind.

        Raises:
            LoadFailed: the engine refused the model; the message is the engine's reason.
        """
