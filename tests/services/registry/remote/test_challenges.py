"""What registries ask for."""

import pytest

from services.registry.remote.challenges import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], []),
        (['Basic realm="x y, z"'], [Challenge("basic", {"realm": "x y, z"})]),
        (
            ['Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"'],
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://a/token",
                        "service": "s",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            ['Negotiate, BEARER Realm=x , Basic realm="quoted \\" mark"'],
            [
                Challenge("negotiate"),
                Challenge("bearer", {"realm": "x"}),
                Challenge("basic", {"realm": 'quoted " mark'}),
            ],
        ),
        (["Basic", "Bearer realm=x"], [Challenge("basic"), Challenge("bearer", {"realm": "x"})]),
        (['realm="nobody asked"'], []),
    ],
)
def test_challenges_are_read(values: list[str], found: list[Challenge]) -> None:
    assert parse_challenges(values) == found
