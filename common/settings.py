"""Settings of a process: one class each, filled from flags, then the environment.

`--keep-alive 1h` wins over `PADDOCK_KEEP_ALIVE`, that over `OLLAMA_KEEP_ALIVE`, and
that over the default.
"""

import sys
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from common.cpus import CpuList
from common.durations import SECOND, parse_duration
from common.errors import InvalidRequest


@lru_cache
def seconds(duration: str) -> float:
    """Give a `Duration` setting in seconds."""
    return parse_duration(duration) / SECOND


def _check_duration(text: str) -> str:
    try:
        nanoseconds = parse_duration(text)
    except InvalidRequest as error:
        raise ValueError(error.message) from None
    if nanoseconds < 0:
        raise ValueError("a negative duration")
    return text


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)]

Duration = Annotated[str, AfterValidator(_check_duration)]
"""A setting written as a Go duration: `30s`, `1h30m`; never negative."""


class Settings(BaseSettings):
    """The base of every process's settings."""

    model_config = SettingsConfigDict(
        env_prefix="PADDOCK_",
        env_ignore_empty=True,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        use_attribute_docstrings=True,
        extra="ignore",
        frozen=True,
    )

    log_level: LogLevel = "INFO"
    """Least severe level that is logged: DEBUG, INFO, WARNING or ERROR."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read our variables, then Ollama's of the same name."""
        ollama = EnvSettingsSource(settings_cls, env_prefix="OLLAMA_", env_ignore_empty=True)
        return init_settings, env_settings, ollama


class ServiceSettings(Settings):
    """What the processes share that speak gRPC."""

    probes: str = ""
    """Address at which health checks are answered without TLS: host:port; empty: none."""

    metrics: str = ""
    """Address at which Prometheus finds this process's metrics: host:port; empty: none."""


class TokenPathSettings(Settings):
    """What the processes share that pass tokens on."""

    serving_cpus: CpuList = ""
    """CPUs to answer on, such as 0-2,5, where engines compute on others; empty: all there are."""


S = TypeVar("S", bound=Settings)


def read_settings(kind: type[S], program: str, arguments: list[str] | None = None) -> S:
    """Read a process's settings from its command line and the environment.

    Prints what is wrong, or a usage text, and leaves the process on `--help`, a bad flag
    or a bad value.
    """
    source: CliSettingsSource[Any] = CliSettingsSource(kind, cli_prog_name=program)
    try:
        return CliApp.run(kind, cli_args=arguments, cli_settings_source=source)
    except ValidationError as error:
        wrong = (f"--{_flag(item['loc'])}: {item['msg']}" for item in error.errors())
        sys.exit(f"{program}: {'; '.join(wrong)}")


def _flag(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location).replace("_", "-")
