"""Journals read back."""
