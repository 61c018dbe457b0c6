"""Moving rows, and sums over them."""

import numpy as np

from tests.cases.base import case, empty, of, uniform


def bounds(rng, dtype, *shape):
    """Return where slices of some rows begin, and their end."""
    return np.array([0, 1, 1, 1])


CASES = (
    case(
        "batch_rows", seed=2**63 - 3, epoch=5, n="m+9", shuffle=1, first=7,
        index=of(np.int64, empty),
    ),
    case(
        "shard_rows", seed=2**63 - 3, epoch=5, n="m+90", shuffle=1, shards=4, shard=1, first=7,
        bounds=bounds, sizes={"k": 4}, index=of(np.int64, empty),
    ),
    case("shard_bounds", shards=200, shard=2, first=7, rows=1000),
    case("gather_rows", tolerance="exact", sizes={"n": "m+3"}),
    case("gather", tolerance="exact", sizes={"n": "m+3"}),
    case("gather_columns", tolerance="exact", sizes={"k": "n+3"}),
    case("row_scales", rows=7, weight=uniform),
    case("batch_loss", terms="m", weight=uniform, total=of(np.float64, empty)),
    case("flag_not_finite", tolerance="exact", flag=of(np.float64, empty)),
    case("claim_lines", tolerance="exact"),
    case("column_sums", terms="m", first=0, last="n"),
)  # fmt: skip
