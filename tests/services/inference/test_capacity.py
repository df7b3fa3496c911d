"""How many requests a router lets go ahead, by what the workers report."""

import pytest

from services.inference.capacity import capacity
from services.inference.placement import LOADING, Candidate
from tests.services.inference.candidates import model, worker


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([], 1),
        ([worker("a")], 1),
        ([worker("a", model("m", LOADING))], 1),
        ([worker("a", model("m", max_sequences=8))], 8),
        ([worker("a", model("m", max_sequences=8)), worker("b", model("m", max_sequences=4))], 12),
        ([worker("a", model("other", max_sequences=8))], 1),
        # What others have there counts, and what this router has does not.
        ([worker("a", model("m", max_sequences=8, running=5))], 3),
        ([worker("a", model("m", max_sequences=8), in_flight={"m": 5})], 8),
        # They leave it a share of each model.
        ([worker("a", model("m", max_sequences=8, running=8, waiting=9))], 2),
        # Those that a leaving worker has to finish keep no others from going ahead elsewhere.
        ([worker("a", model("m", max_sequences=8), in_flight={"m": 5}, draining=True)], 6),
        (
            [
                worker("a", model("m", max_sequences=8), in_flight={"m": 8}, draining=True),
                worker("b", model("m", max_sequences=4), in_flight={"m": 2}),
            ],
            12,
        ),
    ],
)
def test_capacity(candidates: list[Candidate], expected: int) -> None:
    assert capacity(candidates, "m") == expected
