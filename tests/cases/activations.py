"""Activations: a forward and a backward kernel, either of which may write over what it gets."""

from tests.cases.base import case, normal, uniform


def _twice_normal(rng, dtype, *shape):
    return 2 * normal(rng, dtype, *shape)


def activation(name, **differences):
    """Return the cases of an activation's two kernels."""
    return (
        case(f"{name}_forward", x=_twice_normal, **differences),
        case(f"{name}_backward", y=uniform, **differences),
    )


CASES = (
    *activation("identity", tolerance="exact"),
    *activation("relu", tolerance="exact", slope=0.0),
    *activation("sigmoid", tolerance="relative"),
    *activation("tanh"),
    *activation("softmax", terms="n"),
    *activation("exponential", tolerance="relative"),
    *activation("elu", alpha=0.7),
    *activation("selu"),
    *activation("softplus"),
    *activation("silu"),
    *activation("mish"),
    *activation("gelu"),
    *activation("gelu_tanh"),
)
