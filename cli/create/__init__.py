"""What `paddock create` does before the server can make a model."""
