"""Published tables, one module each: what `experiments.reproduce` makes."""
