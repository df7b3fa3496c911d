import json
from typing import Any

import pytest
from vllm.sampling_params import RequestOutputKind

from common.errors import InvalidRequest
from common.options import default_options, merge_options
from protos.paddock.v1.generation_pb2 import Format, Generation, Options
from workers.logits.settings import carried_settings, read_settings
from workers.sampling import sampling_params


def params(options: Options, accelerator: bool = False, **more: Any) -> Any:
    generation = Generation(options=options, **more)
    return sampling_params(generation, prompt=10, context_length=100, accelerator=accelerator)


def ours(options: Options, accelerator: bool = False) -> bool:
    return carried_settings(params(options, accelerator).extra_args) is not None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (default_options(), {"max_tokens": 90, "stop": []}),
        (Options(stop=["a", "", "bc"]), {"stop": ["a", "bc"]}),
        (Options(num_predict=5), {"max_tokens": 5}),
        (Options(num_predict=-2, num_keep=-1), {"max_tokens": 90}),
        (Options(num_ctx=50), {"max_tokens": 40}),
    ],
    ids=str,
)
def test_what_does_not_depend_on_the_machine(options: Options, expected: dict[str, object]) -> None:
    for accelerator in (False, True):
        made = params(options, accelerator)
        assert {name: getattr(made, name) for name in expected} == expected
        assert made.output_kind == RequestOutputKind.DELTA
        assert not made.include_stop_str_in_output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            Options(),
            {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.0, "seed": None},
        ),
        (Options(seed=0), {"seed": 0}),
        (Options(seed=42), {"seed": 42}),
        (Options(temperature=0), {"temperature": 0.0}),
        (Options(top_p=0), {"temperature": 0.0}),
        (Options(top_k=-1, min_p=0.25), {"top_k": 0, "min_p": 0.25}),
        (Options(temperature=1.9, top_p=1), {"temperature": 1.9, "top_p": 1.0}),
    ],
    ids=str,
)
def test_a_gpu_samples_by_itself_what_it_can(options: Options, expected: dict[str, object]) -> None:
    made = params(merge_options(default_options(), options), accelerator=True)
    for name, value in expected.items():
        found = getattr(made, name)
        assert found == (pytest.approx(value) if isinstance(value, float) else value), name
    assert not made.extra_args
    assert (made.repetition_penalty, made.presence_penalty, made.frequency_penalty) == (1, 0, 0)


@pytest.mark.parametrize(
    "options",
    [
        Options(temperature=1.2),
        Options(temperature=1.2, top_p=1, min_p=0.1),
        Options(temperature=5, top_p=1),
        Options(typical_p=0.5),
        Options(repeat_penalty=1.1),
        Options(presence_penalty=0.5),
        Options(frequency_penalty=-3),
        Options(repeat_penalty=1.1, temperature=0),
        Options(mirostat=1),
        Options(mirostat=2),
    ],
    ids=str,
)
def test_what_vllm_cannot_do_is_ours(options: Options) -> None:
    options = merge_options(default_options(), options)
    assert ours(options, accelerator=True)
    assert ours(options)
    made = params(options, accelerator=True)
    assert made.temperature == 0
    assert (made.top_k, made.top_p, made.seed) == (0, 1.0, None)


def test_on_a_cpu_everything_is_ours_but_the_likeliest_token() -> None:
    assert ours(default_options())
    assert ours(Options(temperature=0, repeat_penalty=1.1))
    assert not ours(Options(temperature=0))
    assert not ours(Options(temperature=0, repeat_last_n=64, typical_p=1, mirostat=2))


def test_settings_arrive_as_they_were_asked_for() -> None:
    options = Options(seed=3, temperature=7, top_p=0.5, repeat_penalty=1.5, repeat_last_n=5)
    assert carried_settings(params(options).extra_args) == read_settings(options)


def test_a_prompt_without_room_for_an_answer() -> None:
    with pytest.raises(InvalidRequest, match="longer than the context length"):
        params(Options(num_ctx=10))


def test_formats() -> None:
    assert params(Options()).structured_outputs is None
    assert params(Options(), format=Format(json=True)).structured_outputs.json_object
    made = params(Options(), format=Format(json_schema='{"type": "object"}'))
    assert json.loads(made.structured_outputs.json)["type"] == "object"


@pytest.mark.parametrize(("asked", "expected"), [(None, None), (0, 0), (20, 20)])
def test_logprobs(asked: int | None, expected: int | None) -> None:
    assert params(Options(), logprobs=asked).logprobs == expected
