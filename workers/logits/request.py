"""A request as the sampler knows it, for as long as it runs."""

from typing import Any

from workers.logits.mirostat import Mirostat
from workers.logits.settings import Settings, carried_settings

_KEPT = "paddock_request"


class Request:
    """Settings, and what mirostat remembers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.seed = settings.seed or 0
        self.mirostat = Mirostat(settings) if settings.mirostat else None


def carried_request(arguments: dict[str, Any] | None) -> Request | None:
    """Give the request that vLLM's extra arguments carry; None: it is vLLM's to sample.

    It is kept with the arguments: a request that vLLM sets aside for want of memory, and
    adds again later, goes on where it was.
    """
    if arguments is None:
        return None
    if _KEPT not in arguments:
        settings = carried_settings(arguments)
        arguments[_KEPT] = Request(settings) if settings else None
    kept: Request | None = arguments[_KEPT]
    return kept
