"""Shared test tools."""
