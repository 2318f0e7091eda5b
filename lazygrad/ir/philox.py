"""placeholder until the tested version lands"""
def philox4x32(c0,c1,c2,c3,k0,k1):
    raise NotImplementedError
