"""The brains: the built-in rules, or a plug-in."""

from __future__ import annotations

from collections.abc import AsyncIterator

from voiceagent.errors import ConfigError

from .brain_rules import decide
from .config import EngineConfig
from .ports import Brain, BrainTurn, CallTool, Say


class RuleBrain:
    """Turns instructions and what was heard into speech by documented rules; see :mod:`.brain_rules`."""

    name = "rules"

    async def think(self, turn: BrainTurn) -> AsyncIterator[Say | CallTool]:
        """Yield what the rules decide."""
        for step in decide(turn):
            yield step


def build_brain(config: EngineConfig) -> Brain:
    """Return the brain that the settings ask for; raises ConfigError for an unknown plug-in."""
    if config.brain == "rules":
        if config.chat_url is None:
            return RuleBrain()
        from .brain_chat import ChatBrain

        return ChatBrain(
            config.chat_url, model=config.chat_model, key=config.chat_key, timeout_s=config.chat_timeout_s
        )
    from importlib.metadata import entry_points

    for point in entry_points(group="voiceagent.brain", name=config.brain):
        return point.load()()
    raise ConfigError("engine.brain", f"no entry point '{config.brain}' in the group voiceagent.brain")
