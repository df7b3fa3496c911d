"""Which files vLLM's plugin serves as they are, and what vLLM is told then."""

from pathlib import Path

import pytest
from vllm.engine.arg_utils import AsyncEngineArgs

from tests.gguf_files import write_gguf
from tests.workers.gguf.tiny_models import CONFIGS, DEMO, write_model
from workers.engine import Plan
from workers.gguf.native import is_native
from workers.gguf.source import GgufSource
from workers.vllm_arguments import engine_arguments


@pytest.mark.parametrize(
    ("family", "kind", "native"),
    [
        ("qwen2", "Q8_0", True),
        ("qwen2", "F16", False),  # it does not grow
        ("qwen3", "Q4_0", True),
        ("gemma3", "Q8_0", True),
        ("gemma2", "Q8_0", False),  # the plugin leaves the norms as they are
        ("llama", "Q8_0", False),  # and the rows in pairs
        ("qwen2", "TQ2_0", False),
    ],
)
def test_native(family: str, kind: str, native: bool, tmp_path: Path) -> None:
    size = {"hidden_size": 256, "intermediate_size": 256}
    config = CONFIGS[family].__class__(**CONFIGS[family].to_dict() | size)
    original = write_model(config, tmp_path / "original")
    file = write_gguf(original, tmp_path / "model.gguf", kind)
    assert is_native(GgufSource([file])) is native


def arguments(folder: Path) -> AsyncEngineArgs:
    plan = Plan(memory=1 << 30, kv_cache=1 << 20, threads=1, dtype="auto", context_length=None)
    return engine_arguments(
        "demo", folder, plan, pooling=False, max_sequences=1, accelerator=True, max_images=0
    )


def test_the_plugin_reads_the_file_beside_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((DEMO / "config.json").read_text())
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    found = arguments(tmp_path)
    assert found.model == str(tmp_path)
    assert found.model_weights == str(tmp_path / "model.gguf")
    assert (found.load_format, found.quantization) == ("gguf", "gguf")


def test_a_converted_model_is_loaded_as_any(tmp_path: Path) -> None:
    found = arguments(DEMO)
    assert found.model_weights == ""
    assert (found.load_format, found.quantization) == ("auto", None)
