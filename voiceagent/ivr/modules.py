"""Modules of flow files: fresh for every set of flows, under names of their own, gone when the set is.

A file imports what lies beside it by its plain name (``import shop``), at its top or within a function, and
gets the module of its own set: flows that run keep what they began with while a newer set is loaded beside
them.
Names of Python's own library are never found beside; packages that are installed are shared, as always.
"""

from __future__ import annotations

import builtins
import dis
import hashlib
import importlib
import importlib.util
import itertools
import logging
import re
import sys
import types
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

from voiceagent.text_files import read_file

PREFIX = "voiceagent_flows_"

_numbers = itertools.count(1)


class FlowModules:
    """The modules of one set of flows."""

    def __init__(self) -> None:
        self.name = f"{PREFIX}{next(_numbers)}"
        self._packages: dict[Path, str] = {}

    def load(self, path: Path) -> types.ModuleType:
        """Return the module of a file, executed once for this set. Raises whatever its code raises."""
        folder = path.parent.resolve()
        name = f"{self._package(folder)}.{re.sub(r'[^A-Za-z0-9_-]', '_', path.stem)}"
        known = sys.modules.get(name)
        if known is not None:
            return known
        loader = _Fresh(name, str(folder / path.name))
        spec = importlib.util.spec_from_file_location(name, loader.path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    def told(self, error: BaseException, *, kind: bool = True) -> str:
        """Return an error's type (if ``kind``) and text, with the names that the files know."""
        name = type(error).__name__
        try:
            text = str(error)
        except Exception:  # its own method fails
            text = ""
        told = (f"{name}: {text}" if text else name) if kind else text or name
        return re.sub(rf"{PREFIX}[0-9]+_[0-9]+\.", "", told)

    def forget(self) -> None:
        """Take the set out of the process: nothing of it is found by name any more."""
        for name in [name for name in list(sys.modules) if _within(name, self.name)]:
            sys.modules.pop(name, None)
        loggers = logging.root.manager.loggerDict
        for name in [name for name in list(loggers) if _within(name, self.name)]:
            loggers.pop(name, None)

    def _package(self, folder: Path) -> str:
        """Return the package, of this set alone, that stands for a folder."""
        name = self._packages.get(folder)
        if name is None:
            name = self._packages[folder] = f"{self.name}_{len(self._packages) + 1}"
            importlib.invalidate_caches()  # files may be newer than what a finder remembers of their folder
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(folder)]
            package = importlib.util.module_from_spec(spec)
            package.__dict__["__va_builtins__"] = _builtins(name, str(folder))
            sys.modules[name] = package
            if _FINDER not in sys.meta_path:
                sys.meta_path.insert(0, _FINDER)
        return name


def compiled_from(function: types.FunctionType) -> str | None:
    """Return the SHA-256 of the source that a function of a flow file came from; None for other functions."""
    spec = function.__globals__.get("__spec__")
    loader = spec.loader if isinstance(spec, ModuleSpec) else None
    return loader.sha256 if isinstance(loader, _Fresh) else None


def meant_by_the_user(error: BaseException) -> bool:
    """Tell whether somebody has pressed Ctrl-C, rather than the file itself having raised what it raised.

    A signal comes between instructions, and never within a ``raise``.
    """
    if not isinstance(error, KeyboardInterrupt):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return True
    return last.tb_frame.f_code.co_code[last.tb_lasti] != dis.opmap["RAISE_VARARGS"]


def _within(name: str, family: str) -> bool:
    rest = name.removeprefix(family)
    return rest != name and rest[:1] == "_"


class _Fresh(SourceFileLoader):
    """Compiles from the source alone: compiled files on disk do not see two edits within one second."""

    sha256: str = ""
    """Of the source that was compiled; the file may be another by now."""

    def get_code(self, fullname: str) -> types.CodeType:
        source = read_file(self.path)
        self.sha256 = hashlib.sha256(source).hexdigest()
        return self.source_to_code(source, self.path)

    def exec_module(self, module: types.ModuleType) -> None:
        package = sys.modules[module.__name__.partition(".")[0]]
        module.__dict__["__builtins__"] = package.__dict__["__va_builtins__"]
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds what lies beside a flow file, and has it loaded afresh."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or not fullname.startswith(PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Fresh(fullname, spec.loader.path)
            spec.cached = None
        return spec


_FINDER = _Finder()


def _builtins(package: str, folder: str) -> dict[str, Any]:
    """Return Python's built-ins with an ``import`` that looks beside the file first."""
    plain_import = builtins.__import__

    def look_beside(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names that Python gives them
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        top = name.partition(".")[0]
        if level or not _lies_in(folder, top):
            return plain_import(name, globals, locals, fromlist or (), level)
        if fromlist:
            return plain_import(f"{package}.{name}", globals, locals, fromlist, 0)
        importlib.import_module(f"{package}.{name}")
        return sys.modules[f"{package}.{top}"]

    return {**vars(builtins), "__import__": look_beside}


def _lies_in(folder: str, top: str) -> bool:
    if top in sys.stdlib_module_names or top == "voiceagent":
        return False
    spec = PathFinder.find_spec(top, [folder])
    return spec is not None and spec.has_location
