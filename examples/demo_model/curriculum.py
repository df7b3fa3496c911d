"""The rounds of training: how long, how fast, and of what."""

from dataclasses import dataclass

KINDS = (
    *("plain", "mario", "tools", "memory", "json", "unknown"),
    *("weather", "holes", "texts", "puzzles", "sums", "stories"),
    *("tight_json", "pairs"),
)


@dataclass(frozen=True)
class Round:
    """One round of training, in which the learning rate rises once and falls to zero."""

    steps: int
    peak: float  # share of the full learning rate
    weights: tuple[int, ...]  # how often each kind of text is drawn

    @property
    def mix(self) -> dict[str, int]:
        """Return the weight of each kind."""
        return dict(zip(KINDS, self.weights, strict=True))


# What is copied from the prompt is learnt last, and so are the puzzles and the code: the later
# rounds give more room to whatever the model still got wrong.
ROUNDS = (
    Round(620, 1.0, (54, 9, 16, 5, 6, 3, 1, 3, 3, 0, 0, 0, 0, 0)),
    Round(520, 0.7, (34, 8, 24, 14, 9, 2, 1, 8, 4, 0, 0, 0, 0, 0)),
    Round(560, 0.5, (44, 8, 16, 8, 8, 2, 1, 9, 2, 5, 4, 0, 0, 0)),
    Round(420, 0.4, (30, 6, 22, 12, 8, 2, 1, 12, 3, 3, 6, 5, 0, 0)),
    Round(600, 0.25, (38, 7, 20, 8, 12, 1, 2, 8, 2, 4, 3, 2, 0, 0)),
    Round(420, 0.25, (28, 6, 14, 8, 8, 1, 2, 9, 2, 4, 3, 2, 10, 9)),
)
