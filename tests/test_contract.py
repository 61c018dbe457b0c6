"""The specification on a kernel's decorator, and the contract made from it."""

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels.contract import CONTRACTS, Argument, kernel

WORDS = {
    "-": {"scalar": True, "axes": []},
    "mn": {"axes": ["m", "n"], "written": False, "strided": False},
    "m(qn)": {"axes": ["m", "qn"]},
    "1!*": {"axes": ["1"], "any_dtype": True},
    "m(2n)!": {"axes": ["m", "2n"], "written": True, "updated": False},
    "mn~": {"axes": ["m", "n"], "written": True, "updated": True},
    "m<n": {"axes": ["m"], "below": "n"},
    "n?": {"axes": ["n"], "optional": True},
    "m!*": {"axes": ["m"], "any_dtype": True, "written": True},
    "mk*": {"axes": ["m", "k"], "any_dtype": True, "strided": True},
}


@pytest.mark.parametrize("word", WORDS)
def test_a_word_says_what_an_argument_is(word):
    argument = Argument("x", word, strided=False)
    assert {name: getattr(argument, name) for name in WORDS[word]} == WORDS[word]


def test_arrays_of_a_strided_kernel_have_any_strides_unless_written_or_marked():
    given = {word: Argument("x", word, strided=True).strided for word in ("mn", "mn!", "mn=")}
    assert given == {"mn": True, "mn!": False, "mn=": False}


@pytest.mark.parametrize("word", ["", "m(n", "mn<", "m-", "mn$", "!", "-0"])
def test_a_malformed_word_is_refused(word):
    with pytest.raises(ValueError, match="cannot parse"):
        Argument("x", word, strided=False)


def _entered(specification, name):
    def function(x, out):
        pass

    function.__name__ = name
    return kernel(specification)(function)


@pytest.mark.parametrize("specification", ["m", "m m! m"])
def test_there_is_a_word_for_each_argument(specification):
    with pytest.raises(ValueError, match="wrong_number takes 2 arguments"):
        _entered(specification, "wrong_number")
    assert "wrong_number" not in CONTRACTS


def test_two_kernels_cannot_have_one_name():
    with pytest.raises(ValueError, match="two kernels are called relu_forward"):
        _entered("m m!", "relu_forward")
    assert CONTRACTS["relu_forward"].compiled is kernels.activations.relu_forward


x, out = np.ones((2, 3)), np.zeros((2, 3))
REFUSED = {
    "2 arguments wanted": (x,),
    "x is not an array of 2 axes": (x[0], out),
    "x is not C-contiguous": (x[:, ::2], out[:, ::2]),
    "x holds int64, wanted one float type": (x.astype(np.int64), out),
    "out holds float32, wanted one float type": (x, out.astype(np.float32)),
    "out is read-only": (x, np.broadcast_to(x, (2, 3))),
}


@pytest.mark.parametrize("problem", REFUSED)
def test_a_call_from_python_says_which_argument_is_wrong(problem):
    with pytest.raises(TypeError, match=f"tanh_forward: {problem}.*; wanted x \\(m, n\\)"):
        kernels.tanh_forward(*REFUSED[problem])


def test_lengths_and_indices_are_checked():
    with pytest.raises(ValueError, match="shapes do not fit; wanted .* out \\(2, 4\\) float64"):
        kernels.tanh_forward(x, np.empty((2, 4)))
    for label in (-1, 3):
        with pytest.raises(ValueError, match="target must be in \\[0, n\\)"):
            kernels.softmax_cross_entropy_forward(x, np.array([0, label]), 0.0, np.empty(2))


@pytest.mark.parametrize("size", [0, 2])
def test_a_digit_is_a_length(size):
    with pytest.raises(ValueError, match="shapes do not fit; wanted w \\(n\\), total \\(1\\)"):
        kernels.l1_value(0.1, np.ones(3), np.zeros(size))
