"""Reading an autograd graph and watching one ordinary backward pass over it.

``graph`` reads nodes and edges, ``names`` says which module call made a node, ``branches`` finds
forks, partial splits and merges, ``stages`` and ``layout`` read shapes, ``plan`` chooses what to
watch, ``recorder`` registers the gradient hooks (the only file that does), ``state`` puts
everything back.
"""

from gradlens.hooks.plan import SITES, Group, Plan, Probe, plan_sites
from gradlens.hooks.recorder import Sink, Tap, watch

__all__ = ["SITES", "Group", "Plan", "Probe", "Sink", "Tap", "plan_sites", "watch"]
