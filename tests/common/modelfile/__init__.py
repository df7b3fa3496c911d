"""Tests of the grammar of Modelfiles."""
