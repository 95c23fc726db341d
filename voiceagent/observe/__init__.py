"""Logs, metrics, traces: all names in one place."""
