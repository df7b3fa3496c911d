"""How a command fails: with a text for standard error, and status 1."""


class CommandFailed(Exception):
    """A command cannot do what was asked; the message says why."""
