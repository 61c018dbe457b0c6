"""Many networks on a local Dask cluster, against ``fastnn.fit_many`` on as many threads."""

import fastnn
from bench import many
from bench.measure import alternate
from bench.workloads import problem

NETWORKS = 500
EPOCHS = 5
LABEL = f"{NETWORKS} of {many.WORK.label}, {EPOCHS} epochs"


def networks(dtype):
    def network(seed):
        layers = [fastnn.Dense(units, "relu") for units in many.WORK.sizes[1:-1]]
        layers.append(fastnn.Dense(many.WORK.sizes[-1]))
        return fastnn.Network(
            layers, loss="mae", optimizer=fastnn.SGD(1e-3), seed=seed, dtype=dtype
        )

    return [network(seed) for seed in range(NETWORKS)]


def main(threads: int, dtype: str, rounds: int, shortest: float):
    """Return {contender: {"median", "q1", "q3", "agrees"}}, in seconds for all networks."""
    import distributed

    data, last = problem(many.WORK, dtype), {}

    def trainer(name, **where):
        def run(repetitions):
            for _ in range(repetitions):
                last[name] = networks(dtype)
                options = {"batch_size": many.WORK.batch, "epochs": EPOCHS, **where}
                fastnn.fit_many(last[name], data.X, data.y, **options)

        return run

    def bits(name):
        return [[array.tobytes() for array in each.get_weights()] for each in last[name]]

    cluster = distributed.LocalCluster(
        n_workers=threads, threads_per_worker=1, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        runs = {
            "fit_many": trainer("fit_many", n_threads=threads),
            "Dask": trainer("Dask", executor=client),
        }
        times = alternate(runs, rounds, shortest)
    agrees = bits("fit_many") == bits("Dask")
    return {name: {**times[name], "agrees": agrees} for name in runs}
