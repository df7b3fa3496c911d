"""How long an answer took, in Ollama's form."""

from collections.abc import Iterator

import typer
from ollama import ChatResponse, EmbedResponse, GenerateResponse

from common.durations import SECOND

Figures = ChatResponse | GenerateResponse | EmbedResponse

_UNITS = ((1_000_000, "ms"), (1_000, "µs"))


def print_timings(answer: Figures) -> None:
    """Say how long an answer took, on standard error."""
    for line in timing_lines(answer):
        typer.echo(line, err=True)


def timing_lines(answer: Figures) -> Iterator[str]:
    """Lay out the figures at an answer's end; those that the server does not give are left out."""
    if answer.total_duration:
        yield _line("total duration", write_duration(answer.total_duration))
    if answer.load_duration:
        yield _line("load duration", write_duration(answer.load_duration))
    yield from _phase("prompt eval", answer.prompt_eval_count, answer.prompt_eval_duration)
    yield from _phase("eval", answer.eval_count, answer.eval_duration)


def write_duration(nanoseconds: int) -> str:
    """Write a duration that is not negative as Go does, such as `1m2.5s` or `12.3ms`."""
    if nanoseconds < SECOND:
        for factor, unit in _UNITS:
            if nanoseconds >= factor:
                return f"{_decimal(nanoseconds, factor)}{unit}"
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    minutes, rest = divmod(nanoseconds, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(rest, SECOND)}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _phase(name: str, count: int | None, duration: int | None) -> Iterator[str]:
    if count:
        yield _line(f"{name} count", f"{count} token(s)")
    if duration:
        yield _line(f"{name} duration", write_duration(duration))
        yield _line(f"{name} rate", f"{(count or 0) * SECOND / duration:.2f} tokens/s")


def _line(name: str, value: str) -> str:
    return f"{name + ':':<21} {value}"


def _decimal(value: int, factor: int) -> str:
    whole, rest = divmod(value, factor)
    digits = f"{rest:0{len(str(factor)) - 1}}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
