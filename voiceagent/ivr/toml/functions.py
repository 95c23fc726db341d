"""Python functions that TOML flows call: ``shop:balance`` is ``balance`` of ``shop.py`` beside the flow.

Where there is no such file, ``shop`` is a module that can be imported. Loading happens with the flow, before
any call.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import zlib
from pathlib import Path
from types import ModuleType

from voiceagent.errors import ConfigError
from voiceagent.ivr.ports import Tool, ToolFunction

_loaded: dict[Path, tuple[int, ModuleType]] = {}
"""Modules beside flows, with the time of the file's change: two steps share one module."""


def load_function(spec: str, folder: Path) -> ToolFunction:
    """Return the function behind ``module:function``. Raises ConfigError saying what is wrong with it."""
    module_name, _, name = spec.partition(":")
    module = _module(module_name, folder)
    found = getattr(module, name, None)
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


def _module(name: str, folder: Path) -> ModuleType:
    path = file_beside(name, folder)
    try:
        return importlib.import_module(name) if path is None else _from_file(path.resolve())
    except ConfigError:
        raise
    except Exception as error:
        about = f"{type(error).__name__}: {error}"
        raise ConfigError("function", f"module {name} cannot be imported: {about}") from error


def _from_file(path: Path) -> ModuleType:
    changed = path.stat().st_mtime_ns
    known = _loaded.get(path)
    if known is not None and known[0] == changed:
        return known[1]
    name = f"voiceagent_flow_{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError("function", f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    _loaded[path] = (changed, module)
    return module
