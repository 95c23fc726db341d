"""Flows written as TOML, for people who do not program: read, checked, and run through the same verbs."""
