"""An engine that computes nothing: the worker, its times and its answers without a model."""
