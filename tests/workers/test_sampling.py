from typing import Any

import pytest
from vllm.sampling_params import RequestOutputKind

from common.errors import InvalidRequest
from common.options import default_options
from protos.paddock.v1.generation_pb2 import Format, Generation, Options
from workers.sampling import sampling_params


def params(options: Options, **more: Any) -> Any:
    return sampling_params(Generation(options=options, **more), prompt=10, context_length=100)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            default_options(),
            {
                "temperature": 0.8,
                "top_k": 40,
                "top_p": 0.9,
                "min_p": 0.0,
                "seed": None,
                "repetition_penalty": 1.0,
                "presence_penalty": 0.0,
                "frequency_penalty": 0.0,
                "max_tokens": 90,
                "stop": [],
            },
        ),
        (Options(), {"temperature": 1.0, "top_k": 0, "top_p": 1.0}),
        (Options(temperature=0, top_k=40), {"temperature": 0.0}),
        (Options(temperature=-1), {"temperature": 0.0}),
        (Options(top_p=0, temperature=0.8), {"temperature": 0.0}),
        (Options(top_p=1.5), {"top_p": 1.0}),
        (Options(top_k=-1), {"top_k": 0}),
        (Options(min_p=-0.5), {"min_p": 0.0}),
        (Options(min_p=0.25), {"min_p": 0.25}),
        (Options(seed=0), {"seed": 0}),
        (Options(seed=42), {"seed": 42}),
        (Options(seed=-1), {"seed": None}),
        (Options(stop=["a", "", "bc"]), {"stop": ["a", "bc"]}),
        (Options(num_predict=5), {"max_tokens": 5}),
        (Options(num_ctx=50), {"max_tokens": 40}),
        (Options(repeat_penalty=1.5), {"repetition_penalty": 1.5}),
        (Options(presence_penalty=2), {"presence_penalty": 2.0}),
        (Options(frequency_penalty=-2), {"frequency_penalty": -2.0}),
        (
            Options(repeat_last_n=0, repeat_penalty=1.5, presence_penalty=1),
            {"repetition_penalty": 1.0, "presence_penalty": 0.0},
        ),
    ],
)
def test_options(options: Options, expected: dict[str, object]) -> None:
    made = params(options)
    for name, value in expected.items():
        found = getattr(made, name)
        assert found == (pytest.approx(value) if isinstance(value, float) else value), name
    assert made.output_kind == RequestOutputKind.DELTA
    assert not made.include_stop_str_in_output


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (Options(temperature=2.5), '"temperature" must be at most 2'),
        (Options(presence_penalty=2.5), '"presence_penalty" must be between -2 and 2'),
        (Options(frequency_penalty=-3), '"frequency_penalty" must be between -2 and 2'),
        (Options(repeat_penalty=0), '"repeat_penalty" must be greater than 0'),
        (Options(num_ctx=10), "longer than the context length"),
    ],
)
def test_options_that_are_refused(options: Options, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        params(options)


def test_formats() -> None:
    assert params(Options()).structured_outputs is None
    assert params(Options(), format=Format(json=True)).structured_outputs.json_object
    schema = '{"type": "object"}'
    made = params(Options(), format=Format(json_schema=schema))
    assert made.structured_outputs.json == schema


@pytest.mark.parametrize(("asked", "expected"), [(None, None), (0, 0), (3, 3)])
def test_logprobs(asked: int | None, expected: int | None) -> None:
    assert params(Options(), logprobs=asked).logprobs == expected
