"""Parse the text of a darknet ``.cfg`` into typed sections with line numbers."""

from __future__ import annotations

from pathlib import Path

from gradlens.errors import GradlensError, close_matches
from gradlens.models.darknet.raw import raw_sections
from gradlens.models.darknet.readers import READERS
from gradlens.models.darknet.sections import Cfg, Net


def read_cfg(file: str | Path) -> Cfg:
    """Read a darknet network definition.

    Raises:
        GradlensError: the file does not exist, is not text, or is not a network (see ``parse_cfg``).
    """
    path = Path(file)
    if not path.is_file():
        near = close_matches(path.name, (other.name for other in path.parent.glob("*.cfg")))
        raise GradlensError(f"there is no file {path}{near or '; give a darknet .cfg'}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GradlensError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    if b"\0" in content:
        raise GradlensError(f"{path} is not text; give a darknet .cfg (and its weights as checkpoint=FILE)")
    return parse_cfg(content.decode("utf-8-sig", errors="replace"), str(path))


def parse_cfg(text: str, file: str = "the cfg") -> Cfg:
    r"""Parse the text of a ``.cfg``; the first value of a repeated key counts, as in darknet.

    Args:
        text: sections ``[name]`` with lines ``key=value``; ``#`` and ``;`` begin comments.
        file: name of the file in error messages.

    Returns:
        The network; its ``notes`` name options that are unknown and ignored, as in darknet.

    Raises:
        GradlensError: with file and line: an unknown section, an option that changes the network and is not
            supported, a missing key, a value that is not a number or out of range, a malformed line, no section
            at all, no [net] at the beginning, or no layer after it.

    >>> parse_cfg("[net]\nchannels=3\nheight=8\nwidth=8\n[avgpool]").layers
    (Plain(line=5, kind='avgpool'),)
    """
    raw = list(raw_sections(text, file))
    if not raw:
        raise GradlensError(f"{file} has no sections; a darknet .cfg begins with [net]")
    if raw[0].name != "net":
        raise GradlensError(f"{raw[0].position} comes first; a darknet .cfg begins with [net]")
    if len(raw) == 1:
        raise GradlensError(f"{file} ends after its [net]; the layers are missing")
    unknown = next((section for section in raw[1:] if section.name not in READERS), None)
    if unknown:
        known = close_matches(unknown.name, READERS) or f"; it may be {', '.join(READERS)}"
        raise GradlensError(f"{unknown.position} is a section that gradlens does not know{known}")
    net = Net(raw[0].line, *(raw[0].integer(key, least=1) for key in ("channels", "height", "width")))
    layers = tuple(READERS[section.name](section) for section in raw[1:])
    return Cfg(file, net, layers, tuple(note for section in raw[1:] for note in section.notes))
