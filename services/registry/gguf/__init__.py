"""GGUF files (ggml's docs/gguf.md): what they say of a model, without its weights."""
