import torch

from workers.logits.randomness import draw, uniform


def numbers(seeds: list[int], positions: list[int]) -> torch.Tensor:
    return uniform(torch.tensor(seeds)[:, None], torch.tensor(positions)[:, None])


def test_a_number_depends_on_seed_and_position_alone() -> None:
    many = numbers([7, 7, 8, 7], [3, 4, 3, 3])[:, 0].tolist()
    assert many[0] == many[3] == float(numbers([7], [3]))
    assert len(set(many)) == 3


def test_any_seed_will_do() -> None:
    found = numbers([0, -1, 2**63 - 1, -(2**63)], [0] * 4)
    assert ((found > 0) & (found < 1)).all()
    assert len(set(found[:, 0].tolist())) == 4


def test_seeds_and_positions_are_spread_evenly() -> None:
    many = list(range(20_000))
    by_seed, by_position = numbers(many, [5] * 20_000), numbers([5] * 20_000, many)
    for found in (by_seed, by_position):
        counts = (found * 20).long()[:, 0].bincount(minlength=20)
        assert (counts - 1000).abs().max() < 150
    pairs = torch.cat([by_position[:-1], by_position[1:]], dim=1).T
    assert abs(torch.corrcoef(pairs)[0, 1]) < 0.03


def test_tokens_are_drawn_by_probability() -> None:
    chances = torch.tensor([0.0, 0.5, 0.3, 0.0, 0.15, 0.05, 0.0])
    many = numbers(list(range(20_000)), [1] * 20_000)
    drawn = draw(chances.log().expand(20_000, -1), many)
    found = drawn[:, 0].bincount(minlength=7) / 20_000
    assert torch.allclose(found, chances, atol=0.015)
    assert not found[chances == 0].any()


def test_the_outermost_numbers() -> None:
    logits = torch.tensor([[float("-inf"), 1.0, 0.3, -2.0, float("-inf")]] * 2)
    extremes = torch.tensor([[2.0**-49], [1 - 2.0**-49]], dtype=torch.float64)
    assert draw(logits, extremes)[:, 0].tolist() == [1, 3]


def test_a_broken_model_s_logits_give_some_token() -> None:
    drawn = draw(torch.full((1, 5), float("nan")), numbers([1], [1]))
    assert 0 <= int(drawn) < 5
