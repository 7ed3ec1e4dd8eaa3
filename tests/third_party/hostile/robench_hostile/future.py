"""Is written for an interface that does not exist yet."""

ROBENCH_API = 99
