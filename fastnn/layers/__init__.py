"""The layers of a network."""

from fastnn.inputs.settings import subclasses
from fastnn.layers.activation import Activation
from fastnn.layers.base import Layer
from fastnn.layers.dense import Dense
from fastnn.layers.dropout import Dropout
from fastnn.layers.embedding import Embedding
from fastnn.layers.hierarchical import HierarchicalSoftmax
from fastnn.layers.layer_normalization import LayerNormalization
from fastnn.layers.normalization import BatchNormalization
from fastnn.layers.parametric import ParametricActivation
from fastnn.layers.periodic import PeriodicEmbedding
from fastnn.layers.piecewise import PiecewiseLinearEmbedding
from fastnn.layers.scale import Scale

__all__ = [
    "Activation", "BatchNormalization", "Dense", "Dropout", "Embedding", "HierarchicalSoftmax",
    "Layer", "LayerNormalization", "ParametricActivation", "PeriodicEmbedding",
    "PiecewiseLinearEmbedding", "Scale",
]  # fmt: skip

TABLE = {kind.__name__: kind for kind in subclasses(Layer)}
"""The layers that a saved network may contain, by class name."""
