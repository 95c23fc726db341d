"""Python functions that TOML flows call: ``shop:balance`` is ``balance`` of ``shop.py`` beside the flow.

Where there is no such file, ``shop`` is a module that can be imported. Loading happens with the flow, before
any call.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType

from voiceagent.errors import ConfigError
from voiceagent.ivr.modules import FlowModules, meant_by_the_user
from voiceagent.ivr.ports import Tool, ToolFunction


def load_function(spec: str, folder: Path, modules: FlowModules) -> ToolFunction:
    """Return the function behind ``module:function``. Raises ConfigError saying what is wrong with it."""
    module_name, _, name = spec.partition(":")
    found = getattr(_module(module_name, folder, modules), name, None)
    if found is None:
        raise ConfigError("function", f"{module_name} has no function {name!r}")
    function = found.function if isinstance(found, Tool) else found
    if not inspect.iscoroutinefunction(function):
        raise ConfigError("function", f"{spec} must be an async function")
    return function


def file_beside(module: str, folder: Path) -> Path | None:
    """Return the file of a module beside the flow, or None: then it must be importable."""
    path = folder / f"{module}.py"
    return path if "." not in module and path.is_file() else None


def _module(name: str, folder: Path, modules: FlowModules) -> ModuleType:
    path = file_beside(name, folder)
    try:
        return importlib.import_module(name) if path is None else modules.load(path)
    except ConfigError:
        raise
    except BaseException as error:
        if meant_by_the_user(error):
            raise
        about = modules.told(error)
        raise ConfigError("function", f"module {name} cannot be imported: {about}") from error
