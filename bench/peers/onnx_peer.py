"""ONNX Runtime: a graph of Gemm and Relu nodes, on the CPU. It does not train."""

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def graph(problem):
    """Return the network as an ONNX model."""
    kind = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}[str(problem.dtype)]
    arrays = [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(problem.start)]
    nodes, here, last = [], "x", len(arrays) - 2
    for i in range(0, len(arrays), 2):
        there = "y" if i == last else f"z{i}"
        nodes.append(helper.make_node("Gemm", [here, f"w{i}", f"w{i + 1}"], [there]))
        here = there
        if i != last:
            here = f"a{i}"
            nodes.append(helper.make_node("Relu", [there], [here]))
    sizes = problem.work.sizes
    ends = [
        helper.make_tensor_value_info(name, kind, ["rows", size])
        for name, size in (("x", sizes[0]), ("y", sizes[-1]))
    ]
    made = helper.make_graph(nodes, "network", ends[:1], ends[1:], arrays)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def predictor(problem, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    made = graph(problem)
    onnx.checker.check_model(made)
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    run, outputs = session.run, ["y"]
    return lambda x: run(outputs, {"x": x})[0]
