"""LoRA adapters: which files make one, and whether it fits a model."""
