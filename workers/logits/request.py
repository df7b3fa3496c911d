"""A request as the sampler knows it, for as long as it runs."""

from collections.abc import Sequence
from typing import Any

from workers.logits.mirostat import Mirostat
from workers.logits.settings import Settings, carried_settings

_KEPT = "paddock_request"
_KNOWN = "paddock_known"


class Request:
    """Settings, and what mirostat remembers.

    Args:
        known: tokens of the answer that are not to be chosen any more: another engine did.
        prompt: how many tokens stand before the answer.
    """

    def __init__(self, settings: Settings, known: Sequence[int] = (), prompt: int = 0) -> None:
        self.settings = settings
        self.seed = settings.seed or 0
        self.mirostat = Mirostat(settings) if settings.mirostat else None
        self._known = known
        self._prompt = prompt

    def known(self, position: int) -> int | None:
        """Give the token at a position of prompt and answer, if it is not to be chosen."""
        place = position - self._prompt
        return self._known[place] if 0 <= place < len(self._known) else None


def known_arguments(known: Sequence[int], prompt: int) -> dict[str, Any]:
    """Give the form in which vLLM carries known tokens to the engine's process."""
    return {_KNOWN: {"known": list(known), "prompt": prompt}}


def carried_request(arguments: dict[str, Any] | None) -> Request | None:
    """Give the request that vLLM's extra arguments carry; None: it is vLLM's to sample.

    It is kept with the arguments: a request that vLLM sets aside for want of memory, and
    adds again later, goes on where it was.
    """
    if arguments is None:
        return None
    if _KEPT not in arguments:
        settings = carried_settings(arguments)
        known = arguments.get(_KNOWN, {})
        arguments[_KEPT] = Request(settings, **known) if settings else None
    kept: Request | None = arguments[_KEPT]
    return kept
