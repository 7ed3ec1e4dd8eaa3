"""benchmarks.toml, environment and flags, resolved into frozen, validated requests."""
