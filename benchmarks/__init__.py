"""What agentguard costs, measured beside what limits it: `python -m benchmarks`, or `make bench`."""
