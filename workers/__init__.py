"""The worker: owns an accelerator's engines, and loads, runs, streams and expires models."""
