"""Mapping rules (TOML) and the named transforms that they use."""
