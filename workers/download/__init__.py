"""Bringing blobs from the store to this worker's disk: parallel ranges that can be resumed."""
