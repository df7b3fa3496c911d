"""Talking with a model on the command line: one question, or a session."""
