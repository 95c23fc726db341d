"""Calls without a line: whole calls of the real handler in virtual time."""
