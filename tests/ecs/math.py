"""CloudWatch's metric math as far as the alarms use it, for one point in time (metric math syntax and functions)."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.Lt: operator.lt,
}


def evaluate(expression: str, points: Mapping[str, float]) -> float | None:
    """The value of an expression; None where a metric has no point, or where it divides by zero."""
    return _value(ast.parse(expression.replace(" AND ", " and "), mode="eval").body, points)


def _value(node: Any, points: Mapping[str, float]) -> float | None:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return points.get(node.id)
        case ast.Call(func=ast.Name(id="FILL"), args=[metric, default]):
            found = _value(metric, points)
            return _value(default, points) if found is None else found
        case ast.Call(func=ast.Name(id="IF"), args=[test, yes, no]):
            found = _value(test, points)
            return None if found is None else _value(yes if found else no, points)
        case ast.BoolOp(op=ast.And(), values=values):
            found = [_value(one, points) for one in values]
            return None if None in found else float(all(found))
        case ast.Compare(left=left, ops=[operation], comparators=[right]):
            return _joined(operation, _value(left, points), _value(right, points))
        case ast.BinOp(left=left, op=operation, right=right):
            return _joined(operation, _value(left, points), _value(right, points))
    raise AssertionError(f"{ast.dump(node)} is not known here")


def _joined(operation: Any, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    if isinstance(operation, ast.Div):
        return left / right if right else None
    return float(_OPERATORS[type(operation)](left, right))
