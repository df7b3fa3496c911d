"""Other registries: how models come from them, and go to them."""
