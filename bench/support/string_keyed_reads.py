"""Find reads of ledger events by a literal key in a module's syntax tree.

A read is `x["key"]` or `x.get("key")` where `x` holds an event, a search's settings or what a
training reports. `x` holds one when its last name (`state.search` has the last name `search`) is

1. one of `NAMES`, the names that this code gives to such objects;
2. a parameter or variable annotated with one of `TYPES`;
3. a variable bound by `=`, `:=`, `for` or a comprehension to a call of one of `CALLS`, to an
   element of a list of events (`LISTS`), or to another such object;

or when it is such an expression itself (`state.promotions[-1]["checkpoint"]`). A binding holds for
the whole function in which it stands. The count errs on the high side, with one exception: a `dict`
that is handed on under a new name and without such an annotation is missed.
"""

import ast
import re

NAMES = frozenset({"event", "search", "settings", "finish", "result", "stop_event"})
TYPES = re.compile(r"\b(Event|LedgerEvent|SearchSettings|Result)\b")
CALLS = frozenset({"events", "events_from", "append", "read_events"})
LISTS = frozenset({"events", "promotions", "evaluations", "stops", "others"})


def find_reads(module: ast.Module) -> list[tuple[int, str]]:
    """Return line and source text of every string-keyed read in a module."""
    found: list[tuple[int, str]] = []
    for function in _outermost_functions(module):
        names = _bound_names(function)
        found += [
            (node.lineno, ast.unparse(node))
            for node in ast.walk(function)
            if isinstance(node, ast.Subscript | ast.Call) and _is_read(node, names)
        ]
    return sorted(found)


def _outermost_functions(node: ast.AST) -> list[ast.AST]:
    """Return the functions and methods that no other contains; their inner ones belong to them."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            found += _outermost_functions(child)
        else:
            found.append(child)
    return found


def _bound_names(function: ast.AST) -> set[str]:
    names = set(NAMES)
    for _ in range(2):  # the second pass follows a name that is bound from one further below
        for node in ast.walk(function):
            names |= _bound_by(node, names)
    return names


def _bound_by(node: ast.AST, names: set[str]) -> set[str]:
    """Return the name that a binding gives to an event, if it does."""
    match node:
        case (
            ast.AnnAssign(target=ast.Name(id=name), annotation=annotation)
            | ast.arg(arg=name, annotation=ast.expr() as annotation)
        ):
            holds = TYPES.search(ast.unparse(annotation)) is not None
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.NamedExpr(target=ast.Name(id=name), value=value)
        ):
            holds = _is_event(value, names)
        case (
            ast.For(target=ast.Name(id=name), iter=value)
            | ast.comprehension(target=ast.Name(id=name), iter=value)
        ):
            holds = _are_events(value)
        case _:
            return set()
    return {name} if holds else set()


def _is_read(node: ast.Subscript | ast.Call, names: set[str]) -> bool:
    match node:
        case ast.Subscript(value=value, slice=ast.Constant(value=str()), ctx=ast.Load()):
            return _is_event(value, names)
        case ast.Call(
            func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str()), *_]
        ):
            return _is_event(value, names)
        case _:
            return False


def _is_event(node: ast.expr, names: set[str]) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in names
        case ast.Call(func=ast.Attribute(attr="append")):
            return True  # of a ledger: a list's `append` returns nothing that could be read
        case ast.Subscript(value=value, slice=key):
            is_index = not (isinstance(key, ast.Constant) and isinstance(key.value, str))
            return is_index and _are_events(value)
        case ast.BoolOp(values=values):
            return any(_is_event(value, names) for value in values)
        case _:
            return False


def _are_events(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in LISTS
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=arguments):
            return name in CALLS or any(_are_events(each) for each in arguments)
        case ast.Subscript(value=value) | ast.Starred(value=value):
            return _are_events(value)
        case ast.ListComp(generators=generators) | ast.GeneratorExp(generators=generators):
            return any(_are_events(each.iter) for each in generators)
        case _:
            return False
