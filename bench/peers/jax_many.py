"""JAX training many networks: ``vmap`` around ``scan``, ``scan`` around ``vmap``, one by one."""

import jax
import jax.numpy as jnp
import numpy as np

from bench.peers.jax_peer import ScanTrainer


class VmapOfScan(ScanTrainer):
    """An epoch of one network, mapped over the networks."""

    def __init__(self, problem, starts):
        super().__init__(problem)
        self.carry = ([jnp.stack(arrays) for arrays in zip(*starts, strict=True)], None)
        self.jitted = jax.jit(self.epoch, donate_argnums=0)

    def epoch(self, carry, data):
        def one(network):
            return jax.lax.scan(self.step, network, data)[0]

        return jax.vmap(one)(carry)

    def weights(self):
        return list(zip(*map(np.asarray, self.carry[0]), strict=True))


class ScanOfVmap(VmapOfScan):
    """A step mapped over the networks, again for each batch."""

    def epoch(self, carry, data):
        def step(networks, batch):
            return jax.vmap(lambda network: self.step(network, batch)[0])(networks), None

        return jax.lax.scan(step, carry, data)[0]


class OneByOne(ScanTrainer):
    """An epoch of each network; JAX may run them at the same time, nothing waits in between."""

    def __init__(self, problem, starts):
        super().__init__(problem)
        self.carries = [([jnp.array(array) for array in start], None) for start in starts]

    def run(self, epochs):
        carries, data = self.carries, (self.X, self.y)
        for _ in range(epochs):
            carries = [self.jitted(carry, data) for carry in carries]
        self.carries = jax.block_until_ready(carries)

    def weights(self):
        return [[np.asarray(array) for array in parameters] for parameters, _ in self.carries]
