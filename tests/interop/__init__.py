"""Phones that we did not write, against the whole service."""
