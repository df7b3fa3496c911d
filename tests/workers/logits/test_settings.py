from typing import Any

import msgspec
import pytest

from common.options import default_options
from protos.paddock.v1.generation_pb2 import Options
from workers.logits.settings import WHOLE_CONTEXT, carried_settings, read_settings


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            default_options(),
            {
                "seed": None,
                "temperature": 0.8,
                "top_k": 40,
                "top_p": 0.9,
                "min_p": 0.0,
                "typical_p": 1.0,
                "penalised": False,
                "mirostat": 0,
                "likeliest": False,
            },
        ),
        (Options(), {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "typical_p": 1.0}),
        (Options(seed=0), {"seed": 0}),
        (Options(seed=-1), {"seed": None}),
        (Options(seed=-5), {"seed": -5}),
        (Options(temperature=0), {"temperature": 0.0, "likeliest": True}),
        (Options(temperature=-1), {"temperature": 0.0}),
        (Options(temperature=1e-9), {"temperature": 0.0}),
        (Options(temperature=5), {"temperature": 5.0}),
        (Options(top_k=-1), {"top_k": 0}),
        (Options(top_k=1, typical_p=0.5), {"temperature": 0.0, "likeliest": True}),
        (Options(top_k=2**31 - 1), {"top_k": 2**31 - 1}),
        (Options(top_p=0), {"temperature": 0.0}),
        (Options(top_p=-1), {"temperature": 0.0}),
        (Options(top_p=1.5), {"top_p": 1.0, "temperature": 1.0}),
        (Options(min_p=-0.5), {"min_p": 0.0}),
        (Options(min_p=1.5), {"temperature": 0.0}),
        (Options(typical_p=0), {"typical_p": 1.0}),
        (Options(typical_p=-1), {"typical_p": 1.0}),
        (Options(typical_p=0.5), {"typical_p": 0.5}),
        (Options(typical_p=0.5, temperature=0), {"likeliest": False}),
        (Options(repeat_penalty=1.5), {"penalised": True, "penalty_window": 64}),
        (Options(repeat_penalty=0), {"penalised": False}),
        (Options(repeat_penalty=-2), {"penalised": False}),
        (Options(presence_penalty=9), {"penalised": True, "presence_penalty": 9.0}),
        (Options(frequency_penalty=-9), {"penalised": True, "frequency_penalty": -9.0}),
        (Options(repeat_penalty=1.5, repeat_last_n=0), {"penalised": False}),
        (Options(repeat_penalty=1.5, repeat_last_n=-1), {"penalty_window": WHOLE_CONTEXT}),
        (Options(repeat_penalty=1.5, repeat_last_n=-9), {"penalty_window": WHOLE_CONTEXT}),
        (
            Options(mirostat=2, top_k=40, top_p=0, min_p=2, typical_p=0.5, temperature=0.7),
            {"mirostat": 2, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0},
        ),
        (Options(mirostat=1), {"mirostat": 1, "mirostat_tau": 5.0, "mirostat_eta": 0.1}),
        (Options(mirostat=1, mirostat_tau=0), {"mirostat_tau": 0.0}),
        (Options(mirostat=1, temperature=0), {"mirostat": 0, "likeliest": True}),
        (Options(mirostat=3), {"mirostat": 0}),
        (Options(mirostat=-1), {"mirostat": 0}),
    ],
    ids=str,
)
def test_meanings(options: Options, expected: dict[str, Any]) -> None:
    settings = read_settings(options)
    for name, value in expected.items():
        found = getattr(settings, name)
        assert found == (pytest.approx(value) if isinstance(value, float) else value), name


def test_settings_reach_the_engine_process() -> None:
    settings = read_settings(Options(seed=2**63 - 1, typical_p=0.5, presence_penalty=3e38))
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(settings.extra_arguments()))
    assert carried_settings(sent) == settings


def test_without_a_seed_each_request_gets_another() -> None:
    carried = [carried_settings(read_settings(Options()).extra_arguments()) for _ in range(50)]
    assert len({each.seed for each in carried if each}) == 50


@pytest.mark.parametrize("arguments", [None, {}, {"other": 1}])
def test_a_request_without_settings(arguments: dict[str, Any] | None) -> None:
    assert carried_settings(arguments) is None
