"""Quantising a model while it is created, in a process of its own.

`quantizer` is what the registry calls; `python -m services.registry.quantize` does the work.
"""
