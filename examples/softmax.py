"""A softmax as a user writes it: see its kernel with

python -m lazygrad dump examples/softmax.py --stage source
"""

import lazygrad as lg

x = lg.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]])
e = (x - x.amax(1, keepdim=True)).exp()
print(e / e.sum(1, keepdim=True))
