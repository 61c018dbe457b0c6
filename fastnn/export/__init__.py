"""Models elsewhere: as an ONNX file, as C, or as Python that needs NumPy only.

Examples
--------
>>> import fastnn.export
>>> fastnn.export.__all__
['c', 'onnx', 'python', 'register_skl2onnx']
"""

from fastnn.export.doors import c, onnx, python
from fastnn.export.pipelines import register_skl2onnx

__all__ = ["c", "onnx", "python", "register_skl2onnx"]
