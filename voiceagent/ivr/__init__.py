"""Flows: call logic as plain coroutines over few verbs."""
