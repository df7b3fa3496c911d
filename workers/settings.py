"""Settings of a worker."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from common.durations import parse_keep_alive
from common.errors import InvalidRequest
from common.settings import Duration, ServiceSettings, TokenPathSettings, seconds
from workers.download.settings import DownloadLimits
from workers.images import ImageLimits
from workers.parallelism import Parallelism
from workers.simulated.simulation import Simulation


def _check_keep_alive(text: str) -> str:
    try:
        _read_keep_alive(text)
    except InvalidRequest as error:
        raise ValueError(error.message) from None
    return text


class WorkerSettings(ServiceSettings, TokenPathSettings):
    """Flags and variables of `python -m workers`."""

    listen: str = "127.0.0.1:50061"
    """Address to serve on: host:port or unix:/path."""

    blob: str = "127.0.0.1:50051"
    """Address of the Blob service."""

    cache: Path = Path.home() / ".cache" / "paddock"
    """Folder for models' files; workers on one disk may share it."""

    cache_size: ByteSize | None = None
    """What copies in that folder may take, such as 500GiB. Unset: a share of what the disk has."""

    parallel_reads: int = Field(default=DownloadLimits.parallel, ge=1)
    """Ranges of models' files that are read from the store at once."""

    memory_budget: ByteSize | None = None
    """Memory for models, such as 12GiB. Unset: a share of the GPUs', else of the machine's."""

    memory_share: float = Field(default=0.8, gt=0, le=1)
    """The share of memory for models where no budget is set."""

    sharers: int = Field(default=1, ge=1)
    """Workers, this one included, that divide the memory and cores of this machine or GPU."""

    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that each layer of a model is divided among."""

    pipeline_parallel_size: int = Field(default=1, ge=1)
    """How many times as many GPUs, among which a model's layers are divided."""

    distributed_executor: Literal["mp", "ray"] | None = None
    """What runs engines on several GPUs: mp, or ray for those of other machines. Unset: mp."""

    sleep_memory: ByteSize = ByteSize(0)
    """RAM for models on a GPU that gave way to others, such as 64GiB; 0: they are ended."""

    keep_alive: Annotated[str, AfterValidator(_check_keep_alive)] = "5m"
    """How long a model stays after its last request; negative: for ever."""

    context_length: int = Field(default=0, ge=0)
    """Longest window in tokens; 0: each model's own."""

    max_sequences: int = Field(default=256, ge=1)
    """Sequences that one engine runs at once. Also OLLAMA_NUM_PARALLEL, where 0 is the default."""

    max_loaded_models: int = Field(default=0, ge=0)
    """Models that are loaded at once, each on an engine of its own; 0: as many as fit."""

    max_adapters: int = Field(default=4, ge=1)
    """LoRA adapters that one engine runs at once; sequences with others wait."""

    max_images: int = Field(default=ImageLimits.images, ge=1)
    """Images that one request may have."""

    max_image_size: ByteSize = ByteSize(ImageLimits.size)
    """Largest image file, such as 32MiB."""

    max_image_pixels: int = Field(default=ImageLimits.pixels, ge=1)
    """Pixels that the images of one request may have together."""

    compile: Literal["auto", "always", "never"] = "auto"
    """Whether engines compile their models; auto: on an accelerator, and not on a CPU."""

    drain_timeout: Duration = "30s"
    """How long running sequences may take to finish after SIGTERM."""

    engine: Literal["vllm", "simulated"] = "vllm"
    """What computes: vllm, or simulated for tests and measurements, which computes nothing."""

    simulated_token_time: Duration = "20ms"
    """How long a step of a simulated engine takes, in which each running sequence gets a token."""

    simulated_sequence_time: Duration = "0s"
    """How much longer it takes for each running sequence, such as 50us."""

    simulated_prompt_time: Duration = "100us"
    """How much longer it takes for each token of a prompt that was not computed before."""

    simulated_load_time: Duration = "1s"
    """How long the start of a simulated engine takes."""

    simulated_wake_time: Duration = "100ms"
    """How long a simulated engine that slept takes to wake."""

    simulated_rest: ByteSize = ByteSize(0)
    """Memory of the budget that a simulated engine keeps while it sleeps."""

    simulated_memory: ByteSize = ByteSize(0)
    """Memory that a model on a simulated engine takes; 0: as much as its files."""

    simulated_answer_length: int = Field(default=200, ge=4)
    """Tokens of a simulated engine's longest answers; the shortest have a quarter of them."""

    simulated_cache: int = Field(default=131072, ge=0)
    """Tokens of prompts and answers that a simulated engine need not compute again."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read Ollama's variable for `max_sequences` last, which has another name."""
        sources = super().settings_customise_sources(
            settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        )
        parallel = os.environ.get("OLLAMA_NUM_PARALLEL", "")
        given = {} if parallel in ("", "0") else {"max_sequences": parallel}
        return (*sources, InitSettingsSource(settings_cls, given))

    @field_validator("cache")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()

    @property
    def download_limits(self) -> DownloadLimits:
        """What reading from the store may do."""
        return DownloadLimits(self.parallel_reads)

    @property
    def simulation(self) -> Simulation:
        """What simulated engines take."""
        return Simulation(
            token_time=seconds(self.simulated_token_time),
            sequence_time=seconds(self.simulated_sequence_time),
            prompt_time=seconds(self.simulated_prompt_time),
            load_time=seconds(self.simulated_load_time),
            wake_time=seconds(self.simulated_wake_time),
            rest=self.simulated_rest,
            memory=self.simulated_memory,
            answer_length=self.simulated_answer_length,
            cache=self.simulated_cache,
        )

    @property
    def image_limits(self) -> ImageLimits:
        """What the images of one request may be."""
        return ImageLimits(self.max_images, self.max_image_size, self.max_image_pixels)

    @property
    def parallelism(self) -> Parallelism:
        """How each engine is divided."""
        several = self.tensor_parallel_size * self.pipeline_parallel_size > 1
        executor = self.distributed_executor or ("mp" if several else "uni")
        return Parallelism(self.tensor_parallel_size, self.pipeline_parallel_size, executor)

    def compiles(self, *, accelerator: bool) -> bool:
        """Tell whether engines that compute on an accelerator, or on a CPU, compile."""
        return accelerator if self.compile == "auto" else self.compile == "always"

    @property
    def keep_alive_nanoseconds(self) -> int:
        """How long a model stays by default; negative: for ever."""
        return _read_keep_alive(self.keep_alive)


def _read_keep_alive(value: str) -> int:
    """Read a Go duration, or a number of seconds as `OLLAMA_KEEP_ALIVE` may be."""
    seconds = int(value) if re.fullmatch(r"[+-]?\d+", value, re.ASCII) else value
    return parse_keep_alive(seconds) or 0
