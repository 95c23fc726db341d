"""HTTP: the operators' API, live events, health and metrics, and the dashboard page."""
