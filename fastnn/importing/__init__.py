"""Models from elsewhere: PyTorch's, Keras's and ONNX files become networks that train on."""

from fastnn.importing.of_keras import from_keras
from fastnn.importing.of_onnx import from_onnx
from fastnn.importing.of_torch import from_torch

__all__ = ["from_keras", "from_onnx", "from_torch"]
