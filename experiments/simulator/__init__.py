"""Studies of the simulator."""
