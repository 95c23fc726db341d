"""Whole calls, told in virtual time."""
