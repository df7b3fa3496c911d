"""The `paddock` protobuf package."""
