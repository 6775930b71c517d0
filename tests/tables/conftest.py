"""Fixtures of tests on tables."""

from postgres_server import postgres

__all__ = ["postgres"]
