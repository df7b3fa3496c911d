"""The demo model: a tiny chat model that knows its corpus by heart."""
