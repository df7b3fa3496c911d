"""LoRA adapters: several of one base model on one engine."""
