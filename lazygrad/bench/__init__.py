"""The benchmark harness: the same workloads for lazygrad and its peers, checked, then timed.

Owns: `workloads` (what is computed, its truth, its least traffic and work, the goal), `arrays`
and `torchlike` (the same computations in the two families of interfaces), `peers` (how each
library is driven), `worker` (one library in a process of its own), `session` (interleaved rounds),
`limits` (what the machine can do), `report` and `plots`. Must not know: the command line.
"""
