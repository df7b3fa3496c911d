"""Models in GGUF files, made into folders that vLLM loads."""
