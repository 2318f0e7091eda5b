"""The intermediate representation: dtypes, nodes, the op registry and the passes over graphs.

Imports nothing of lazygrad outside this package and knows neither backends nor user-level tensors.
"""
