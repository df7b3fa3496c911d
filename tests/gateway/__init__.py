"""Tests of the gateway against real in-process services."""
