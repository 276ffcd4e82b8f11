"""Reads what Weights & Biases writes in offline mode: records of its own protocol in a log of LevelDB's format."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, START, HEADER = 32_768, b":W&B", 7
FULL, LAST = 1, 4
"""Kinds of parts that end a record."""
PATIENCE = 60.0
"""Seconds in which another process has to finish the file of a run that has ended."""


def history(file: Path) -> list[dict[str, Any]]:
    """Return the rows that were logged to an ended run, from its ``.wandb`` file, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    end = time.monotonic() + PATIENCE
    records: list[Any] = []
    while not (records and records[-1].HasField("exit")):
        assert time.monotonic() < end, f"{file} has no end"
        time.sleep(0.05)
        records = [Record.FromString(data) for data in _records(file.read_bytes())]
    rows = [record.history.item for record in records if record.HasField("history")]
    return [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row} for row in rows
    ]


def _records(data: bytes) -> Iterator[bytes]:
    """Yield whole records; one that crosses the border of a block is in parts."""
    assert data.startswith(START)
    at, parts = HEADER, b""
    while at + HEADER <= len(data):
        rest = BLOCK - at % BLOCK
        if rest < HEADER:
            at += rest
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += HEADER
        if at + length > len(data):  # it is being written
            return
        parts += data[at : at + length]
        at += length
        if kind in (FULL, LAST):
            yield parts
            parts = b""
