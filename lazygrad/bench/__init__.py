"""The benchmark harness: the same workloads for lazygrad and its peers, checked, then timed.

Owns: `workloads` (what is computed, its least traffic and work, the goal), `arrays` and `torchlike`
(the computations in the two families of interfaces, and their truth), `peers` (each library, driven
by the classes of the `*_peers` modules), `worker` (one library in a process of its own), `session`
(interleaved rounds), `limits` (what the machine can do), `counts`, `report` and `plots`. Must not
know: the command line.
"""
