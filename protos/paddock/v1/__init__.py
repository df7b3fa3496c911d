"""Version 1 of the contracts; `make protos` generates the modules beside the sources."""
