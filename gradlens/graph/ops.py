"""Families of autograd operations, by the names of their nodes."""

from __future__ import annotations

import re

WEIGHTED = {
    # operation: (slot of the data, slot of the weight)
    "Convolution": (0, 1),
    "ConvolutionOverrideable": (0, 1),
    "MkldnnConvolution": (0, 1),
    "Linear": (0, 1),
    "MkldnnLinear": (0, 1),
    "Addmm": (1, 2),
    "Mm": (0, 1),
    "Bmm": (0, 1),
    "Baddbmm": (1, 2),
    "Embedding": (1, 0),
    "EmbeddingBag": (1, 0),
    "Mv": (0, 1),
    "Addmv": (1, 2),
    "MkldnnRnnLayer": (0, 1),  # a layer of nn.LSTM as one operation
    "CudnnRnn": (0, 1),
    "MiopenRnn": (0, 1),
    "Trilinear": (0, 1),  # nn.Bilinear, whose other input is at slot 2
}
RECURRENT = {"MkldnnRnnLayer", "CudnnRnn", "MiopenRnn"}
"""Operations that run a recurrent layer over all steps, with several weights."""
MATRIX_PRODUCTS = {"Addmm": (1, 2), "Mm": (0, 1), "Bmm": (0, 1), "Baddbmm": (1, 2)}
"""Products ``left @ right``, by their slots: ``x @ W`` reads its weight on the right, ``W @ x`` on the left."""
TRANSPOSED = {"Addmm", "Mm", "Bmm", "Baddbmm"}
"""Operations that read their weight as ``[in, out]``."""
CONVOLUTIONS = {"Convolution", "ConvolutionOverrideable", "MkldnnConvolution"}
NORMS = {"NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "NativeGroupNorm", "NativeLayerNorm"}
CHANNELS_SECOND = CONVOLUTIONS | {
    "NativeBatchNorm",
    "CudnnBatchNorm",
    "MiopenBatchNorm",
    "NativeGroupNorm",
}
CHANNELS_LAST = {"Addmm", "Mm", "Linear", "MkldnnLinear", "NativeLayerNorm", "Embedding", "MkldnnRnnLayer"}

ADDS = {"Add", "Sub"}
CONCATENATIONS = {"Cat", "Stack"}
PRODUCTS = {"Mul"}

RESHAPES = {"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Unflatten"}
VIEWS = {"View", "UnsafeView", "ReshapeAlias"}
"""Spellings of one reshape; torch chooses among them also by whether a dispatch mode is active."""
COPIES = {"ToCopy", "Clone", "Alias", "Contiguous", "AsStrided", "Detach"}
AXIS_MOVES = {"Permute", "Transpose", "T", "MoveDim"}
TRANSPARENT = RESHAPES | COPIES | AXIS_MOVES
"""Operations without a weight that only reshape, permute or copy their input."""

SUMS = {"Sum", "Mean", "Add", "Sub", "Neg", "Stack", "Cat"} | TRANSPARENT
"""Operations whose gradient does not depend on the values that they add up."""
SCALINGS = {"Mul", "Div"}
"""Operations whose gradient does not depend on their input if the other input is a constant."""

SPLITS = {"Split", "SplitWithSizes", "UnsafeSplit", "UnsafeSplitWithSizes"}
CUTS = SPLITS | {"Unbind"}
"""Operations that cut a tensor into several outputs along one axis."""
SLICES = {"Slice", "Select", "IndexSelect", "Index"}
"""Operations that take some entries along one axis."""

REORDERING = {
    "Index", "IndexSelect", "Gather", "Roll", "Flip", "Sort", "IndexAdd", "IndexCopy", "IndexPut", "Scatter",
    "ScatterAdd",
}  # fmt: skip
"""Operations that move rows along an axis, to or from a saved index."""
UNORDERED = REORDERING | {
    "MaskedScatter", "MaskedSelect", "PackPaddedSequence", "Take", "Topk",
}  # fmt: skip
"""Operations after which the rows need not be the samples in order."""
WRITING = {"IndexAdd", "IndexCopy", "IndexPut", "Scatter", "ScatterAdd"}
"""Those that write their second input at the index."""
CUTTING = {"Slice", *SPLITS}
"""Operations that read a run of rows or channels."""

OPAQUE = {
    "CompiledFunction": "torch.compile hides the graph; capture the model before it is compiled",
    "CheckpointFunction": (
        "reentrant checkpointing hides the graph; call torch.utils.checkpoint with use_reentrant=False"
    ),
}
"""Nodes that hide a part of the graph, with the remedy."""

_SUFFIX = re.compile(r"Backward\d*$")
_INPLACE_SUFFIX = re.compile(r"_$")


def family(node_name: str) -> str:
    """Return the operation of an autograd node's name.

    >>> family("ConvolutionBackward0"), family("torch::autograd::AccumulateGrad")
    ('Convolution', 'AccumulateGrad')
    """
    return _INPLACE_SUFFIX.sub("", _SUFFIX.sub("", node_name.rsplit("::", 1)[-1]))


def opaque_reason(operation: str) -> str | None:
    """Return why the graph ends at this operation and what to do, or None."""
    return OPAQUE.get(operation)
