"""Running the units of which results are made: here, in worker processes, or wherever an `Executor` sends them."""
