"""A load test of the service: well-behaved and misbehaving clients, and the service in a process of its own."""
