"""``gradlens doctor``."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gradlens.installation import DISTRIBUTION
from gradlens.version import VERSION

from .installed import problems
from .layout import Block, print_blocks
from .packages import NEEDS, Package, package
from .terminal import say
from .trials import Trial, trials

YES = ("1", "ON", "YES", "TRUE")  # the values that huggingface_hub reads as true


@dataclass(frozen=True)
class Findings:
    """The state of the installation.

    Attributes:
        installation: problems with the installed files of gradlens, each with the remedy.
        packages: all packages that gradlens can use.
        torch_problem: why torch cannot be imported; empty if it can.
        devices: the devices that torch can use, the CPU first.
        tried: experiments on torch; empty if it cannot be imported.
        locations: the caches of pretrained weights, and whether downloads are allowed.
    """

    installation: list[str]
    packages: list[Package]
    torch_problem: str
    devices: list[str]
    tried: list[Trial]
    locations: dict[str, str]

    @property
    def broken(self) -> list[str]:
        """Required parts that do not work, each with the remedy."""
        problems = self.installation + [
            f"{p.need.name}: {p.problem}; python -m pip install '{p.need.name}{p.need.versions}'"
            for p in self.packages
            if p.broken
        ]
        if self.torch_problem and not any(p.broken and p.need.name == "torch" for p in self.packages):
            problems.append(
                f"torch is installed but cannot be imported ({self.torch_problem}); install it again"
            )
        return problems + [
            f"torch lacks {trial.name}, needed for {trial.purpose}: {trial.problem}; install another torch"
            for trial in self.tried
            if trial.problem
        ]

    def document(self) -> dict[str, Any]:
        """Return the findings as a JSON object."""
        return {
            "gradlens": VERSION,
            "distribution": DISTRIBUTION,
            "installation": self.installation,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": {
                p.need.name: {
                    "version": p.version or None,
                    "needs": p.need.versions,
                    "for": p.need.purpose,
                    "extra": p.need.extra or None,
                    "problem": p.problem or None,
                }
                for p in self.packages
            },
            "torch": {"problem": self.torch_problem or None, "devices": self.devices},
            "tried": {t.name: {"for": t.purpose, "problem": t.problem or None} for t in self.tried},
            "places": self.locations,
            "broken": self.broken,
        }


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of the tables.")
@click.pass_context
def examine(ctx: click.Context, as_json: bool) -> None:
    """Check the installed packages and suggest what to install.

    The parts of torch that gradlens reads are tried on tiny tensors. The exit code is 1 if
    a required part does not work; missing optional packages are only listed. Works without torch.

    \b
    Example:
      gradlens doctor
    """
    report = findings()
    if as_json:
        click.echo(json.dumps(report.document(), indent=2))
    else:
        _print(report)
    if report.broken:
        ctx.exit(1)


def findings() -> Findings:
    """Examine the installation; a missing or broken part raises no error."""
    problem, devices = _torch()
    return Findings(
        installation=problems(),
        packages=[package(need) for need in NEEDS],
        torch_problem=problem,
        devices=devices,
        tried=[] if problem else trials(),
        locations=locations(),
    )


def _torch() -> tuple[str, list[str]]:
    """Return why torch cannot be imported (empty if it can), and the devices that it can use."""
    try:
        import torch
    except Exception as error:  # a broken library raises OSError or any other error
        return f"{type(error).__name__}: {' '.join(str(error).split())}", []
    devices = [f"CPU, {os.cpu_count()} cores, threads: {torch.get_num_threads()}"]
    if torch.cuda.is_available():
        devices += [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("Apple GPU (mps)")
    return "", devices


def locations() -> dict[str, str]:
    """Return the caches of pretrained weights, and whether downloads are allowed."""
    home = Path.home() / ".cache"
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / "huggingface") / "hub"
    torch_home = os.environ.get("TORCH_HOME") or home / "torch"
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in YES
    return {
        "weights of timm": _cache(Path(hub)),
        "weights of torchvision": _cache(Path(torch_home)),
        "network": "not used: HF_HUB_OFFLINE is set"
        if offline
        else "used for --pretrained weights not in the cache",
    }


def _cache(folder: Path) -> str:
    if not folder.exists():
        return f"{folder} (created when needed)"
    return (
        f"{folder}"
        if os.access(folder, os.W_OK)
        else f"{folder} (cannot be written; set HF_HOME or TORCH_HOME)"
    )


def _print(report: Findings) -> None:
    say(f"gradlens {VERSION}, Python {platform.python_version()}, {platform.platform()}\n")
    rows = [[p.need.name, p.version or "–", p.problem or "ok", p.need.purpose] for p in report.packages]
    print_blocks([Block(["package", "version", "state", "for"], rows)])
    if report.torch_problem:
        say("torch cannot be imported, so nothing can be measured;")
        say("`gradlens report`, `figure`, `open` and `runs` work on saved runs without it\n")
    else:
        rows = [
            [trial.name, "works" if not trial.problem else "BROKEN", trial.purpose] for trial in report.tried
        ]
        print_blocks([Block(["tried on torch", "state", "for"], rows)])
    facts = {**{f"device {i}": name for i, name in enumerate(report.devices)}, **report.locations}
    print_blocks([Block(["item", "value"], [[name, value] for name, value in facts.items()])])
    for extra in dict.fromkeys(p.need.extra for p in report.packages if p.problem and p.need.extra):
        missing = [p.need for p in report.packages if p.problem and p.need.extra == extra]
        what = ", ".join(dict.fromkeys(need.purpose for need in missing))
        packages = " ".join(f"'{need.name}{need.versions}'" for need in missing)
        say(f"optional, for {what} (extra {extra}): python -m pip install {packages}", indent="  ")
    for text in report.broken:
        say(f"BROKEN: {text}", indent="  ")
    say("a required part does not work" if report.broken else "all required parts work")
