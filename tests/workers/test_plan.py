from typing import Any

import pytest

from common.errors import InvalidModel, OutOfMemory
from workers.engine import Plan
from workers.parallelism import Parallelism
from workers.plan import cache_bytes_per_token, plan_engine, states_shape

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30

LLAMA_8B = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "max_position_embeddings": 8192,
    "dtype": "bfloat16",
}


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (LLAMA_8B, 2 * 32 * 8 * 128 * 2),
        ({**LLAMA_8B, "dtype": "float32"}, 2 * 32 * 8 * 128 * 4),
        ({**LLAMA_8B, "head_dim": 64}, 2 * 32 * 8 * 64 * 2),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768}, 2 * 12 * 768 * 2),
        ({**LLAMA_8B, "kv_lora_rank": 512, "qk_rope_head_dim": 64}, 32 * 576 * 2),
    ],
)
def test_cache_bytes_per_token(config: dict[str, object], size: int) -> None:
    assert cache_bytes_per_token(config) == size


@pytest.mark.parametrize(
    ("more", "parts", "copies"),
    [({}, 1, 1), ({}, 2, 1), ({}, 8, 1), ({}, 16, 2), ({"kv_lora_rank": 512}, 4, 4)],
)
def test_the_cache_of_divided_layers(more: dict[str, int], parts: int, copies: int) -> None:
    """What cannot be divided, heads or a latent vector, each part has for itself."""
    config = {**LLAMA_8B, **more}
    assert cache_bytes_per_token(config, parts) == copies * cache_bytes_per_token(config)


def test_an_engine_on_several_gpus() -> None:
    def plan(tensor: int = 1, pipeline: int = 1) -> Plan:
        return plan_engine(
            LLAMA_8B,
            16 * GIBIBYTE,
            96 * GIBIBYTE,
            cores=9,
            accelerator=True,
            pooling=False,
            parallelism=Parallelism(tensor, pipeline),
        )

    one, four = plan(), plan(tensor=2, pipeline=2)
    assert four.memory - four.kv_cache - 16 * GIBIBYTE == 4 * (
        one.memory - one.kv_cache - 16 * GIBIBYTE
    )
    assert four.kv_cache == one.kv_cache
    assert (one.threads, four.threads) == (9, 2)
    adapters = [
        plan_engine(
            LLAMA_8B,
            16 * GIBIBYTE,
            96 * GIBIBYTE,
            cores=9,
            accelerator=True,
            pooling=False,
            lora_rank=16,
            max_adapters=4,
            parallelism=Parallelism(tensor=parts),
        ).memory
        - plan(tensor=parts).memory
        for parts in (1, 2)
    ]
    assert 0 < adapters[0] * 2 == adapters[1]


def test_what_an_engine_takes_while_it_sleeps() -> None:
    """Its weights lie in the machine's memory; what comes with every process stays."""

    def plan(*, sleeps: bool) -> Plan:
        return plan_engine(
            LLAMA_8B,
            16 * GIBIBYTE,
            96 * GIBIBYTE,
            cores=9,
            accelerator=True,
            pooling=False,
            parallelism=Parallelism(tensor=2),
            sleeps=sleeps,
        )

    planned = plan(sleeps=True)
    assert planned.asleep.host == 16 * GIBIBYTE
    assert planned.asleep.accelerator == planned.memory - planned.kv_cache - 16 * GIBIBYTE
    assert not plan(sleeps=False).asleep.host


def test_an_unknown_shape() -> None:
    with pytest.raises(InvalidModel, match="num_hidden_layers"):
        cache_bytes_per_token({"hidden_size": 1})


@pytest.mark.parametrize(
    ("own", "accelerator", "dtype"),
    [
        ("float32", False, "float32"),
        ("float16", False, "bfloat16"),
        ("bfloat16", False, "bfloat16"),
        ("float8_e4m3fn", False, "auto"),
        ("float16", True, "auto"),
    ],
)
def test_dtype(own: str, accelerator: bool, dtype: str) -> None:
    config = {**LLAMA_8B, "dtype": own}
    plan = plan_engine(
        config, GIBIBYTE, 64 * GIBIBYTE, cores=8, accelerator=accelerator, pooling=False
    )
    assert plan.dtype == dtype


def test_what_quantised_weights_are_computed_in() -> None:
    config = {**LLAMA_8B, "dtype": "float32", "quantization_config": {"format": "pack-quantized"}}
    plan = plan_engine(config, GIBIBYTE, 64 * GIBIBYTE, cores=8, accelerator=False, pooling=False)
    assert plan.dtype == "bfloat16"


def test_a_small_model_has_room_for_32_full_windows() -> None:
    config = {**LLAMA_8B, "num_hidden_layers": 2, "max_position_embeddings": 2048}
    plan = plan_engine(
        config, 8 * MEBIBYTE, 16 * GIBIBYTE, cores=8, accelerator=False, pooling=False
    )
    assert plan.kv_cache == 32 * 2048 * cache_bytes_per_token(config)
    assert plan.memory > plan.kv_cache + 8 * MEBIBYTE
    assert plan.threads == 1
    assert plan.context_length is None


def test_a_large_model_leaves_three_quarters_for_weights_and_others() -> None:
    plan = plan_engine(
        LLAMA_8B, 16 * GIBIBYTE, 64 * GIBIBYTE, cores=8, accelerator=True, pooling=False
    )
    assert plan.kv_cache == 16 * GIBIBYTE
    assert plan.threads == 8


def test_the_cache_shrinks_to_what_is_left() -> None:
    plan = plan_engine(
        LLAMA_8B, 16 * GIBIBYTE, 20 * GIBIBYTE, cores=8, accelerator=False, pooling=False
    )
    assert plan.memory == 20 * GIBIBYTE


def test_weights_that_do_not_fit() -> None:
    with pytest.raises(OutOfMemory, match="requires more memory"):
        plan_engine(
            LLAMA_8B, 16 * GIBIBYTE, 16 * GIBIBYTE, cores=8, accelerator=False, pooling=False
        )


def test_a_window_that_is_capped() -> None:
    plan = plan_engine(
        LLAMA_8B,
        16 * GIBIBYTE,
        64 * GIBIBYTE,
        cores=8,
        accelerator=False,
        pooling=False,
        longest=4096,
    )
    assert plan.context_length == 4096


def test_an_embedding_model_needs_less_cache() -> None:
    plans = [
        plan_engine(LLAMA_8B, GIBIBYTE, 640 * GIBIBYTE, cores=8, accelerator=False, pooling=pooling)
        for pooling in (False, True)
    ]
    assert plans[0].kv_cache > plans[1].kv_cache > 0


@pytest.mark.parametrize(
    ("config", "states"),
    [
        (LLAMA_8B, True),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768}, True),
        ({"text_config": LLAMA_8B, "vision_config": {"hidden_size": 64}}, True),
        ({"text_config": {"model_type": "llama", "vocab_size": 32064}}, False),
        ({"model_type": "llava"}, False),
        ({"text_config": None, **LLAMA_8B}, True),
    ],
)
def test_whether_a_configuration_states_the_shape(config: dict[str, object], states: bool) -> None:
    assert states_shape(config) == states


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ({"dtype": "float32", "text_config": {}}, "float32"),
        ({"torch_dtype": "float32", "text_config": {"dtype": None}}, "float32"),
        ({"dtype": None, "text_config": {"torch_dtype": "float32"}}, "float32"),
        ({"dtype": "bfloat16", "text_config": {"torch_dtype": "float32"}}, "float32"),
    ],
)
def test_the_type_of_the_text_part(config: dict[str, Any], dtype: str) -> None:
    shape = {key: value for key, value in LLAMA_8B.items() if key != "dtype"}
    config = {**config, "text_config": shape | config["text_config"]}
    plan = plan_engine(
        config, GIBIBYTE, 64 * GIBIBYTE, cores=8, accelerator=False, pooling=False, vision=True
    )
    assert plan.dtype == dtype


def test_a_model_that_sees_is_planned_by_its_text_part_and_has_room_for_images() -> None:
    text = {**LLAMA_8B, "dtype": None}
    seeing = {"dtype": "bfloat16", "text_config": text, "vision_config": {"hidden_size": 9}}
    plans = [
        plan_engine(
            config,
            GIBIBYTE,
            640 * GIBIBYTE,
            cores=8,
            accelerator=False,
            pooling=False,
            vision=vision,
        )
        for config, vision in ((LLAMA_8B, False), (seeing, True))
    ]
    assert plans[0].kv_cache == plans[1].kv_cache
    assert plans[0].dtype == plans[1].dtype
    assert plans[1].memory - plans[0].memory == GIBIBYTE


@pytest.mark.parametrize(("accelerator", "copies"), [(True, 4), (False, 8)])
def test_places_for_adapters(accelerator: bool, copies: int) -> None:
    config = {**LLAMA_8B, "intermediate_size": 14336, "vocab_size": 128256}
    plans = [
        plan_engine(
            config,
            16 * GIBIBYTE,
            60 * GIBIBYTE,
            cores=2,
            accelerator=accelerator,
            pooling=False,
            lora_rank=rank,
            max_adapters=4,
        )
        for rank in (0, 16, 64)
    ]
    plain, small, large = (plan.memory for plan in plans)
    attention, feed_forward = 2 * (4096 + 4096) + 2 * (4096 + 1024), 3 * (4096 + 14336)
    numbers = 32 * (attention + feed_forward) + 2 * (4096 + 128256)
    assert small - plain == copies * numbers * 16 * 2
    assert large - plain == 4 * (small - plain)
    assert [plan.lora_rank for plan in plans] == [0, 16, 64]
    assert [plan.max_adapters for plan in plans] == [0, 4, 4]
