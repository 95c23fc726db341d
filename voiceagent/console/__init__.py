"""HTTP: the operators' API, live events, health and metrics, and the dashboard page.

Importing this package is light; :mod:`voiceagent.console.app` and :mod:`voiceagent.console.server` bring
FastAPI.
"""
