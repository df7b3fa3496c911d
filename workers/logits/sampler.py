"""Choosing the next tokens of all requests of an engine's step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from workers.logits import truncation
from workers.logits.columns import integers, numbers
from workers.logits.mirostat import Mirostat
from workers.logits.penalties import penalize
from workers.logits.randomness import draw, uniform
from workers.logits.request import Request
from workers.logits.settings import Settings

_CHOSEN = float("inf")
# A `top_k` up to this is taken from the vocabulary without sorting all of it: 0.7 ms
# instead of 13 for 152 thousand tokens on one core.
_LARGEST_SELECTION = 1024
# Places beside `top_k` for tokens that tie with the last one.
_TIES = 32


@dataclass(frozen=True)
class Row:
    """A request in a step."""

    index: int
    """Of its logits."""
    request: Request
    position: int
    """How many tokens its prompt and answer have by now."""

    @property
    def settings(self) -> Settings:
        """How its tokens are chosen."""
        return self.request.settings


Windows = Callable[[Sequence[Row]], Tensor]
"""Gives the last tokens of some requests, as `penalize` takes them."""


def choose_tokens(logits: Tensor, rows: Sequence[Row], windows: Windows) -> None:
    """Make the logit of the token that each of the rows chooses infinite, in place.

    Where the likeliest token is to be taken only the penalties are applied. What a row
    chooses does not depend on the others: ties are never decided by where tokens happen to
    stand.
    """
    rows = sorted(rows, key=lambda row: row.index)
    if penalised := [row for row in rows if row.settings.penalised]:
        _penalize(logits, penalised, windows(penalised))
    for row in rows:
        if row.request.mirostat:
            _steer(logits[row.index], row, row.request.mirostat)
    drawing = [row for row in rows if not row.settings.likeliest and not row.request.mirostat]
    if few := [row for row in drawing if _is_selective(row.settings)]:
        most = max(row.settings.top_k for row in few) + _TIES
        found = _part(logits, few).topk(min(most, logits.shape[1]))
        tokens, order = found.indices.sort(dim=1)
        left = _truncated(found.values, few).gather(1, order)
        _choose(logits, few, tokens.gather(1, _drawn(left, few)))
    rest = [row for row in drawing if not _is_selective(row.settings)]
    if ranked := [row for row in rest if _is_ranked(row.settings)]:
        values, tokens = _part(logits, ranked).sort(descending=True, stable=True)
        _choose(logits, ranked, tokens.gather(1, _drawn(_truncated(values, ranked), ranked)))
    if others := [row for row in rest if not _is_ranked(row.settings)]:
        _choose(logits, others, _drawn(_truncated(_part(logits, others), others), others))


def _is_selective(settings: Settings) -> bool:
    return 0 < settings.top_k <= _LARGEST_SELECTION


def _is_ranked(settings: Settings) -> bool:
    return settings.top_k > 0 or settings.top_p < 1


def _penalize(logits: Tensor, rows: Sequence[Row], windows: Tensor) -> None:
    penalize(
        logits,
        integers((row.index for row in rows), logits.device),
        windows,
        numbers((row.settings.repeat_penalty for row in rows), logits.device),
        numbers((row.settings.presence_penalty for row in rows), logits.device),
        numbers((row.settings.frequency_penalty for row in rows), logits.device),
    )


def _steer(logits: Tensor, row: Row, mirostat: Mirostat) -> None:
    scaled = logits / row.settings.temperature
    number = uniform(
        integers([row.request.seed], logits.device), integers([row.position], logits.device)
    )
    known = row.request.known(row.position)
    logits[mirostat.choose(scaled, number, row.position, known)] = _CHOSEN


def _truncated(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """Leave tokens out; what needs them in descending order is asked of such logits alone."""
    settings, device = [row.settings for row in rows], logits.device
    if any(each.top_k for each in settings):
        counts = integers((each.top_k for each in settings), device)
        logits = truncation.top_k(logits, counts)
    if any(each.typical_p < 1 for each in settings):
        shares = numbers((each.typical_p for each in settings), device)
        logits = truncation.typical_p(logits, shares)
    if any(each.top_p < 1 for each in settings):
        shares = numbers((each.top_p for each in settings), device)
        logits = truncation.top_p(logits, shares)
    if any(each.min_p > 0 for each in settings):
        shares = numbers((each.min_p for each in settings), device)
        logits = truncation.min_p(logits, shares)
    return logits


def _drawn(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """Draw by probability, or take the likeliest at a temperature of 0; give a column."""
    temperature = numbers((row.settings.temperature for row in rows), logits.device)
    seeds = integers((row.request.seed for row in rows), logits.device)
    positions = integers((row.position for row in rows), logits.device)
    scaled = logits / temperature.where(temperature > 0, 1)
    drawn = draw(scaled, uniform(seeds, positions))
    return drawn.where(temperature > 0, logits.argmax(dim=1, keepdim=True))


def _choose(logits: Tensor, rows: Sequence[Row], tokens: Tensor) -> None:
    logits[integers((row.index for row in rows), logits.device), tokens] = _CHOSEN


def _part(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """Give the rows' logits, without copying them where they are all there are."""
    indices = [row.index for row in rows]
    if indices == list(range(len(logits))):
        return logits
    return logits[integers(indices, logits.device)[:, 0]]
