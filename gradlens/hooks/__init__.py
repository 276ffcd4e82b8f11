"""Recording of ordinary backward passes over the live autograd graph.

``walking`` reads the live graph, ``calls`` records which module call created a node, ``recorder`` registers the
gradient hooks (the only file that does), ``state`` restores the model, ``capturing`` runs the batches.
"""

from gradlens.hooks.capturing import capture

__all__ = ["capture"]
