"""Modelfiles: the recipe of a model, as users write it and as `show` prints it."""
