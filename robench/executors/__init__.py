"""Who carries out the tasks of a run: this process, others on this machine, or a cluster.

An executor knows nothing of defenses and attacks: it takes tasks, has workers carry them out, and hands back what came
of them, in the order in which they end.
"""
