"""A row of the validation page."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def row(what: str, claim: object, result: object, agrees: bool, remark: str = "") -> Row:
    return {"what": what, "claim": claim, "ours": result, "agrees": bool(agrees), "remark": remark}
