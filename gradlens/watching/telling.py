"""Show alarms once when they occur: a line on a terminal, in a notebook, or in a file that stderr goes to. No torch."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

from gradlens.progress import notebook_shell
from gradlens.watching.alarms import Alarm

SIGN = "alarm: "


def tell(alarms: Iterable[Alarm]) -> None:
    """Show the alarms of one backward pass, those of one rule in one line; never on stdout, which may be data.

    A notebook shows the lines below the running cell. An output that cannot be written is left alone: the training goes
    on.
    """
    try:
        for line in lines(alarms):
            _show(line)
    except Exception:  # such as a closed terminal
        return


def lines(alarms: Iterable[Alarm]) -> Iterator[str]:
    """Yield a line per rule: its first alarm, and how many more places it names.

    >>> several = [Alarm("dead", 7, "4", place, "", 1.0, 1.0, "no gradient") for place in ("conv1", "conv2")]
    >>> list(lines(several))
    ['step 7: conv1, stage 4: no gradient (and 1 more place, in watching.alarms)']
    """
    by_rule: dict[str, list[Alarm]] = defaultdict(list)
    for alarm in alarms:
        by_rule[alarm.rule].append(alarm)
    for first, *others in by_rule.values():
        more = (
            f" (and {len(others)} more place{'s' * (len(others) > 1)}, in watching.alarms)" if others else ""
        )
        yield f"{first}{more}"


def _show(line: str) -> None:
    if notebook_shell() is not None:
        from IPython.display import display

        display({"text/plain": SIGN + line}, raw=True)
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True).print(Text.assemble((SIGN, "bold red"), line))
    else:
        sys.stderr.write(f"{SIGN}{line}\n")
        sys.stderr.flush()
