"""The Registry service: names, manifests, and what the files of a model say about it."""
