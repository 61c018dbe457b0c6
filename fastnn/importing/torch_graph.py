"""What a PyTorch module's forward calls, one after the other."""

import copy
from typing import Any

from fastnn.importing.chain import refuse
from fastnn.inputs import extras

_ROOT = "0"
"""Where the caller's module stands in the one that is traced."""
_CALLED = {
    "relu": "ReLU", "leaky_relu": "LeakyReLU", "elu": "ELU", "selu": "SELU", "gelu": "GELU",
    "silu": "SiLU", "mish": "Mish", "softplus": "Softplus", "sigmoid": "Sigmoid", "tanh": "Tanh",
    "softmax": "Softmax", "flatten": "Flatten", "dropout": "Dropout",
}  # fmt: skip
"""Functions and methods of tensors, and the modules that take the same arguments."""
_HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
_PARAMETER_HOOKS = "_backward_hooks", "_post_accumulate_grad_hooks"


def traced(module: Any) -> list[tuple[str, Any]]:
    """Return the modules that a module calls, with the name and place of each.

    ``torch.fx`` traces the forward pass of copies, in training and in evaluation: both must call
    the same, each with what the one before returned, and nothing else.

    Raises
    ------
    ValueError
        If they do not, or cannot be traced.
    """
    for name, each in module.named_modules():
        place = _named(name, type(each).__name__)
        if any(vars(each).get(hooks) for hooks in _HOOKS):
            refuse(place, "it has hooks, which may compute anything")
        if "forward" in vars(each):
            refuse(place, "its forward was replaced, and may compute anything")
    for name, each in module.named_parameters():
        if any(getattr(each, hooks, None) for hooks in _PARAMETER_HOOKS):
            refuse(f"module[{name!r}]", "it has hooks, which may change its gradient")
    nn = extras.load("torch.nn", "fastnn.from_torch", "torch")
    root = copy.deepcopy(nn.Sequential(module))
    training, predicting = (_walk(root.train(mode)) for mode in (True, False))
    fixed = [each for each in predicting if each[0] != "dropout"]
    if fixed != [each for each in training if each[0] != "dropout"]:
        refuse("module", "its forward differs between training and evaluation")
    if any(each[0] == "dropout" for each in predicting):
        refuse("dropout", "it drops in evaluation too")
    found, own = [], nn.Sequential(module)
    for number, (kind, what) in enumerate(training):
        if kind == "module":
            name = what.removeprefix(_ROOT).removeprefix(".")
            each = own.get_submodule(what)
            told = repr(each)
            found.append((_named(name, type(each).__name__ if "\n" in told else told), each))
        else:
            place = f"{what[0]}(), step {number} of module"
            found.append((place, _as_module(nn, place, *what)))
    return found


def _named(name: str, what: str) -> str:
    return f"module[{name!r}], {what}" if name else f"module, {what}"


def _walk(root: Any) -> list[tuple[str, Any]]:
    """Return what a forward pass calls: names of modules, or functions and their arguments."""
    torch = extras.load("torch", "fastnn.from_torch", "torch")
    fx = extras.load("torch.fx", "fastnn.from_torch", "torch")
    what = type(root.get_submodule(_ROOT)).__name__
    tracer, untrained = fx.Tracer(), []
    create = tracer.create_node

    def noted(*given: Any, **options: Any) -> Any:
        node = create(*given, **options)
        if not torch.is_grad_enabled():
            untrained.append(node)
        return node

    tracer.create_node = noted
    try:
        with torch.enable_grad():
            nodes = list(tracer.trace(root).nodes)
    except Exception as error:  # whatever the module's own code raises
        refuse(f"module, {what}", f"torch.fx cannot trace its forward: {error}")
    if untrained and root.training:
        reason = "is under torch.no_grad, so what is before it does not train; wanted requires_grad"
        refuse(f"module, {what}", f"its forward has {_told(untrained[0])}, which {reason}=False")
    calls, current = [], nodes[-1].args[0]
    walked = [each for each in nodes if each.op in ("placeholder", "output")]
    while not (isinstance(current, fx.Node) and current.op == "placeholder"):
        if not isinstance(current, fx.Node) or len(current.all_input_nodes) != 1:
            refuse(f"module, {what}", f"its forward is no chain: {_told(current)}")
        calls.append(current)
        walked.append(current)
        current = current.all_input_nodes[0]
    for each in nodes:
        if each not in walked or (each.op == "placeholder" and each is not current and each.users):
            refuse(f"module, {what}", f"its forward is no chain: {_told(each)} is beside it")
    return [call for each in reversed(calls) for call in _call(each)]


def _told(node: Any) -> str:
    text = getattr(node, "format_node", None)
    return text() if text else repr(node)


def _call(node: Any) -> list[tuple[str, Any]]:
    """Return what a node calls: nothing for a dropout that does nothing."""
    before = node.all_input_nodes[0]
    if node.args[:1] != (before,):
        refuse("module", f"its forward has {_told(node)}, wanted the input as the first argument")
    if node.op == "call_module":
        if len(node.args) > 1 or node.kwargs:
            refuse("module", f"its forward has {_told(node)}, with more than one argument")
        return [("module", node.target)]
    name = _name(node)
    given, options = node.args[1:], dict(node.kwargs)
    if name == "dropout":
        names = "p", "training", "inplace"
        options |= dict(zip(names, given, strict=False))
        drops = options.pop("training", True)
        return [("dropout", (name, (), options))] if drops else []
    if name == "flatten" and not given:
        options.setdefault("start_dim", 0)
    return [("function", (name, given, options))]


def _name(node: Any) -> str:
    """Return the name of the function or method that a node calls, if it is PyTorch's."""
    names = [*_CALLED, "exp"]
    if node.op == "call_method" and node.target in names and node.target != "dropout":
        return str(node.target)
    if node.op == "call_function":
        torch, functional = (
            extras.load(each, "fastnn.from_torch", "torch")
            for each in ("torch", "torch.nn.functional")
        )
        for name in names:
            if node.target in (getattr(torch, name, None), getattr(functional, name, None)):
                return name
    refuse("module", f"its forward has {_told(node)}, which is none of {', '.join(names)}")


def _as_module(nn: Any, where: str, name: str, given: tuple, options: dict[str, Any]) -> Any:
    """Return the module that computes the same as a function."""
    if name == "exp":
        return name
    try:
        return getattr(nn, _CALLED[name])(*given, **options)
    except (TypeError, ValueError) as error:
        refuse(where, error)
