"""Limit the waiting time of downloads if there is no network."""

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
def offline_if_unreachable(downloading: bool = True) -> Iterator[None]:
    """Load weights only from the cache during the block if the hub is not reachable.

    huggingface_hub retries for 45 seconds before it gives up; one short request shows whether retrying can help.
    Does nothing if ``downloading`` is False or HF_HUB_OFFLINE is set.
    """
    if not downloading or constants.HF_HUB_OFFLINE or _hub_answers():
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False


@contextmanager
def socket_timeout() -> Iterator[None]:
    """Set a time limit for sockets in the block, because torch.hub sets none and could wait for ever."""
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
        return isinstance(
            error.reason, ssl.SSLError
        )  # a server answers; leave the decision to the hub's client
    except OSError:
        return False
