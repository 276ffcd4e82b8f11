"""Reading an autograd graph and watching one ordinary backward pass over it.

``walking`` reads nodes and edges into a ``graph``, ``names`` says which module call made a node,
``branches`` finds forks, partial splits and merges, ``stages`` and ``layout`` read shapes,
``planning`` chooses what to watch and writes it down as a ``plan``, ``recorder`` registers the
gradient hooks (the only file that does), ``state`` puts everything back.
"""

from gradlens.hooks.plan import Group, Plan, Probe, Slice
from gradlens.hooks.planning import SITES, SPACES, plan_sites
from gradlens.hooks.recorder import Sink, Tap, watch

__all__ = ["SITES", "SPACES", "Group", "Plan", "Probe", "Sink", "Slice", "Tap", "plan_sites", "watch"]
