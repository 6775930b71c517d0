"""Profiles, data only: one TOML file each."""
