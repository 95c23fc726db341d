"""PURE. Which flow answers a call: routes in order, then the flows' own numbers, then the default."""

from voiceagent.ivr.routing.conditions import Arrival
from voiceagent.ivr.routing.router import Decision, Route, Router

__all__ = ["Arrival", "Decision", "Route", "Router"]
