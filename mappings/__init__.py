"""Mapping files: one TOML file per converter."""
