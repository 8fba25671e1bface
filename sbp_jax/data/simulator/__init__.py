"""Parts of the play simulator; its public module is `sbp_jax.data.simulator.simulate`."""
