"""Reads what Weights & Biases writes in offline mode: records of its own protocol in a log of LevelDB's format."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, IDENT = 32_768, b":W&B"
FULL, FIRST, MIDDLE, LAST = range(1, 5)


def history(file: Path) -> list[dict[str, Any]]:
    """Return the rows that were logged to the run of a ``.wandb`` file, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    rows = []
    for data in _records(file.read_bytes()):
        record = Record.FromString(data)
        if record.HasField("history"):
            rows.append(
                {
                    "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                    for item in record.history.item
                }
            )
    return rows


def _records(data: bytes) -> Iterator[bytes]:
    """Yield whole records; one that crosses the border of a block is in parts."""
    assert data.startswith(IDENT)
    at, parts = 7, b""
    while at < len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += 7
        parts += data[at : at + length]
        at += length
        if kind in (FULL, LAST):
            yield parts
            parts = b""
