"""Patience with downloads: minutes of silent retries help nobody who is offline."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants

PROBE_SECONDS = 5
STALL_SECONDS = 30


@contextmanager
def patient_only_when_online(wanted: bool = True) -> Iterator[None]:
    """Let the block load weights from the cache alone when the hub is out of reach.

    huggingface_hub retries for 45 seconds before it gives up; one short question tells whether
    that can help. Nothing happens when ``wanted`` is False or HF_HUB_OFFLINE is set.
    """
    if not wanted or constants.HF_HUB_OFFLINE or _hub_answers():
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False


@contextmanager
def stalled_sockets_give_up() -> Iterator[None]:
    """Give sockets without a limit of their own one: torch.hub sets none and would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS if before is None else before)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _hub_answers() -> bool:
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # somebody is there; let the hub's client decide
    except OSError:
        return False
