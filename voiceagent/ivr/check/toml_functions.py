"""Python functions that a TOML flow calls, checked by their source: nothing is imported, nothing runs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.source import TOO_DEEP
from voiceagent.ivr.toml.complaints import nearest
from voiceagent.ivr.toml.functions import file_beside
from voiceagent.ivr.toml.models import Work
from voiceagent.ivr.toml.read import ParsedFlow
from voiceagent.text_files import UnreadableFile, read_file

Definition = ast.AsyncFunctionDef | ast.FunctionDef | ast.ClassDef


def check_functions(parsed: ParsedFlow) -> Iterator[Finding]:
    """Yield functions that are not there or not async, and arguments that they do not take."""
    for name, step in parsed.steps.items():
        if isinstance(step, Work) and step.function is not None:
            yield from _function(parsed, name, step, step.function)


def _function(parsed: ParsedFlow, step: str, work: Work, function: str) -> Iterator[Finding]:
    module, _, name = function.partition(":")
    line = parsed.line("steps", step, "function")

    def missing(message: str, remedy: str = "") -> Finding:
        return Finding(parsed.file, line, "error", "missing-function", f"step {step}: {message}", remedy)

    found, source = _source(module, parsed.path.parent)
    if not found:
        others = [one.stem for one in parsed.path.parent.glob("*.py")]
        yield missing(
            f"there is no module {module!r}", nearest(module, others) or f"write {module}.py beside"
        )
        return
    if source is None:
        return  # of C, or of a loader of its own: known when the flow is loaded
    try:
        tree = ast.parse(read_file(source))
    except UnreadableFile as error:
        yield missing(f"{source.name} {error}")
        return
    except (SyntaxError, ValueError, *TOO_DEEP) as error:
        yield missing(f"{source.name} cannot be read as Python ({type(error).__name__})")
        return
    definitions, others = _top_level(tree)
    definition = definitions.get(name)
    if definition is None:
        if name not in others and "*" not in others:
            message = f"{source.name} has no function {name!r}"
            yield missing(message, nearest(name, [*definitions, *others]))
        return
    if definition.decorator_list and not _is_tool(definition):
        return  # what becomes of it is known when the flow is loaded
    if not isinstance(definition, ast.AsyncFunctionDef):
        message = f"step {step}: {function} is not async"
        yield Finding(parsed.file, line, "error", "not-async", message, "write `async def`")
        return
    yield from _arguments(parsed, step, work, definition)


def _arguments(
    parsed: ParsedFlow, step: str, work: Work, function: ast.AsyncFunctionDef
) -> Iterator[Finding]:
    takes = function.args
    named = [one.arg for one in (*takes.args, *takes.kwonlyargs)]
    given = dict(zip(takes.kwonlyargs, takes.kw_defaults, strict=True))
    optional = {one.arg for one, value in given.items() if value is not None}
    optional.update(one.arg for one in takes.args[len(takes.args) - len(takes.defaults) :])
    for one in named:
        if one not in work.arguments and one not in optional:
            yield Finding(
                parsed.file, parsed.line("steps", step, "arguments"), "error", "bad-value",
                f"step {step}: {function.name} needs the argument `{one}`", f'arguments = {{ {one} = "…" }}',
            )  # fmt: skip
    for one in work.arguments:
        if one not in named and takes.kwarg is None:
            yield Finding(
                parsed.file, parsed.line("steps", step, "arguments", one), "error", "bad-value",
                f"step {step}: {function.name} takes no argument `{one}`", nearest(one, named),
            )  # fmt: skip


def _source(module: str, folder: Path) -> tuple[bool, Path | None]:
    """Return whether a module is there, and its source if it has one. Looks, and imports nothing."""
    beside = file_beside(module, folder)
    if beside is not None:
        return True, beside
    if module in sys.builtin_module_names:
        return True, None  # part of the interpreter itself, which no path leads to
    places: list[str] | None = None
    spec: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            return False, None
        places = list(spec.submodule_search_locations or ())
    origin = spec.origin if spec is not None else None
    return True, Path(origin) if origin is not None and origin.endswith(".py") else None


def _top_level(tree: ast.Module) -> tuple[dict[str, Definition], set[str]]:
    """Return what a module defines, and the other names it may have; ``*`` where those are unknown."""
    definitions: dict[str, Definition] = {}
    others: set[str] = set()
    queue: list[ast.stmt] = list(tree.body)
    while queue:
        match queue.pop(0):
            case ast.AsyncFunctionDef() | ast.FunctionDef() | ast.ClassDef() as definition:
                definitions[definition.name] = definition
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                others |= {(one.asname or one.name).partition(".")[0] for one in names}
            case ast.Assign(targets=targets):
                others |= {
                    one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)
                }
            case ast.AnnAssign(target=ast.Name(id=name)):
                others.add(name)
            case ast.If() | ast.Try() | ast.With() as block:
                queue += [one for one in ast.iter_child_nodes(block) if isinstance(one, ast.stmt)]
                queue += [one for handler in getattr(block, "handlers", ()) for one in handler.body]
            case _:
                pass
    return definitions, others


def _is_tool(definition: Definition) -> bool:
    return all(
        (isinstance(one, ast.Name) and one.id == "tool")
        or (isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "tool")
        for one in definition.decorator_list
    )  # fmt: skip
