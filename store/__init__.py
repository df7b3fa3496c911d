"""Keeps blobs and manifests: one interface, and a backend for each kind of storage."""
