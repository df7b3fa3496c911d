"""`vllm-gguf-plugin`, with which vLLM serves GGUF files as they are; it needs a GPU.

The plugin (0.0.5) takes tensors under other names and as they are: what llama.cpp's converter
changed it changes back for Gemma 3 alone. Llama's rows would stay in pairs, and the model
would talk nonsense.
"""

from importlib.util import find_spec

# Whose tensors differ from `transformers`' in nothing but names, and Gemma 3.
ARCHITECTURES = frozenset({"qwen2", "qwen3", "qwen3moe", "phi3", "gemma3"})


def has_plugin() -> bool:
    """Tell whether the plugin is installed."""
    return find_spec("vllm_gguf_plugin") is not None
