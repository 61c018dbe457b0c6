"""Matrix products, and the dense layer's."""

from tests.cases.base import case

CASES = (
    case("matmul_nn", terms="k"),
    case("matmul_tn", terms="k"),
    case("matmul_nt", terms="k", splits=False),  # few rows are added in another order
    case("matmul_tn_add", terms="k", scale=-0.3),
    case("dense_forward", terms="k", slope=0.0, prefetch_distance="m"),
    case("dense_backward", terms="k", slope=0.1),
    case("bfloat16_matmul_tn", terms="k"),
    case("bfloat16_matmul_tn_add", terms="k", scale=-0.3),
    case("bfloat16_dense_forward", terms="k", slope=0.0, prefetch_distance="m"),
    case("bfloat16_dense_backward", terms="k", slope=0.1),
    case("transpose", tolerance="exact"),
)
