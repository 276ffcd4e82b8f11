"""Names of what is measured of several losses: in the attributes of frames, in columns, and of the timed passes."""

from __future__ import annotations

LOSSES_OF = "losses_of"
"""Key of the names of all losses of a run in the attributes of its frames."""
ALL = "all"
"""The value of a column ``loss`` for the sum of the losses."""
SHARE_OF, CONFLICT_OF = "share of ", "conflict of "
"""Start of the columns with the share of one loss, and with the share of samples in which two losses conflict."""
AND = " | "
"""Between the names of two losses."""
BACKBONE = "backbone"
"""The part of a detector whose stages are named by an output stride alone."""
FORWARD, BOTH = "forward", "forward + backward"
"""The timed passes of a network."""
FORWARD_OF_BACKBONE = "forward, backbone"
"""The part of the forward pass from the first to the last layer of the backbone."""
