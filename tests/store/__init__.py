"""Tests of the store library."""
