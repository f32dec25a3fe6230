"""an expression over columns -> which rows it is true for, such as ``sharpness < 20 or abs(yaw) > 60``.

The text is read by Python's own parser and then walked here: names of columns, numbers, texts, comparisons, ``in``,
``and``, ``or``, ``not``, ``+ - * /`` and ``abs``. Nothing else is accepted and nothing is ever run.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from faceswap_core.errors import SettingsError
from faceswap_core.types import Bool

Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Columns of equal length: numbers (NaN where unknown), truth values, or texts as objects."""

_LONGEST = 2000
_DEEPEST = 40
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_RECKON: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def matching(where: str, columns: Columns) -> Bool:
    """Rows (N,) for which the expression is true; a comparison with an unknown value is false.

    Raises:
        SettingsError: the text is no such expression, or names another column.
    """
    if len(where) > _LONGEST:
        raise SettingsError(f"the expression has {len(where)} characters, at most {_LONGEST} are read: make it shorter")
    try:
        tree = ast.parse(where.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(where, f"it cannot be read ({error})", columns) from error
    with np.errstate(all="ignore"):
        found = _Reader(where, columns).value(tree.body, 0)
    if np.asarray(found).dtype != bool:
        raise _refused(where, "it is no comparison", columns)
    count = len(next(iter(columns.values())))
    return np.broadcast_to(np.asarray(found, np.bool_), (count,)).copy()


def _refused(where: str, why: str, columns: Columns) -> SettingsError:
    return SettingsError(
        f"expression {where[:200]!r}: {why}; write comparisons of {', '.join(sorted(columns))} joined by and, or, not, "
        "such as 'sharpness < 20 or abs(yaw) > 60'"
    )


class _Reader:
    """Gives the value of each part of one expression."""

    def __init__(self, where: str, columns: Columns) -> None:
        self.where, self.columns = where, columns

    def value(self, node: ast.AST, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _refused(self.where, f"it is nested more than {_DEEPEST} deep", self.columns)
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise _refused(self.where, f"{type(node).__name__} is not known here", self.columns)
        return method(node, depth + 1)

    def _name(self, node: ast.Name, _depth: int) -> Any:
        if node.id not in self.columns:
            raise _refused(self.where, f"there is no column {node.id!r}", self.columns)
        return self.columns[node.id]

    def _constant(self, node: ast.Constant, _depth: int) -> Any:
        if isinstance(node.value, bool | str):
            return node.value
        if isinstance(node.value, int | float):
            try:
                return float(node.value)
            except OverflowError as error:
                raise _refused(self.where, "a number is too large", self.columns) from error
        raise _refused(self.where, f"{node.value!r} is neither number nor text", self.columns)

    def _tuple(self, node: ast.Tuple | ast.List, depth: int) -> list[Any]:
        return [self.value(part, depth) for part in node.elts]

    _list = _tuple

    def _boolop(self, node: ast.BoolOp, depth: int) -> Any:
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        found = self._truth(node.values[0], depth)
        for part in node.values[1:]:
            found = join(found, self._truth(part, depth))
        return found

    def _truth(self, node: ast.AST, depth: int) -> Any:
        found = self.value(node, depth)
        if np.asarray(found).dtype != bool:
            raise _refused(self.where, "and, or, not join comparisons", self.columns)
        return found

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Any:
        if isinstance(node.op, ast.Not):
            return np.logical_not(self._truth(node.operand, depth))
        number = self._number(node.operand, depth)
        return -number if isinstance(node.op, ast.USub) else number

    def _number(self, node: ast.AST, depth: int) -> Any:
        found = self.value(node, depth)
        if isinstance(found, list) or np.asarray(found).dtype.kind not in "iuf":
            raise _refused(self.where, "only numbers can be reckoned with", self.columns)
        return np.asarray(found, np.float64)

    def _binop(self, node: ast.BinOp, depth: int) -> Any:
        if type(node.op) not in _RECKON:
            raise _refused(self.where, f"{type(node.op).__name__} is not known here", self.columns)
        return _RECKON[type(node.op)](self._number(node.left, depth), self._number(node.right, depth))

    def _call(self, node: ast.Call, depth: int) -> Any:
        if not (
            isinstance(node.func, ast.Name) and node.func.id == "abs" and len(node.args) == 1 and not node.keywords
        ):
            raise _refused(self.where, "abs(x) is the only function", self.columns)
        return np.abs(self._number(node.args[0], depth))

    def _compare(self, node: ast.Compare, depth: int) -> Any:
        sides = [self.value(part, depth) for part in (node.left, *node.comparators)]
        found: Any = True
        for how, left, right in zip(node.ops, sides, sides[1:], strict=False):
            found = np.logical_and(found, self._compared(how, left, right))
        return found

    def _compared(self, how: ast.cmpop, left: Any, right: Any) -> Any:
        if isinstance(how, ast.In | ast.NotIn) and isinstance(right, list):
            found = np.zeros(np.shape(left), bool)
            for one in right:
                found = np.logical_or(found, self._compared(ast.Eq(), left, one))
            return np.logical_not(found) if isinstance(how, ast.NotIn) else found
        kinds = {_kind(left), _kind(right)}
        if type(how) not in _COMPARE or len(kinds) > 1 or "list" in kinds:
            raise _refused(self.where, "numbers compare with numbers, texts with texts", self.columns)
        if kinds != {"number"} and not isinstance(how, ast.Eq | ast.NotEq):
            raise _refused(self.where, "texts are equal or not", self.columns)
        return np.asarray(_COMPARE[type(how)](np.asarray(left), np.asarray(right)), np.bool_)


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "list"
    return {"b": "truth", "i": "number", "u": "number", "f": "number"}.get(np.asarray(value).dtype.kind, "text")
