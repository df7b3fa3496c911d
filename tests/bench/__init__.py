"""The measurements' own arithmetic, and their clients."""
