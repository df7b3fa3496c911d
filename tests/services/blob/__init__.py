"""Tests of the Blob service."""
