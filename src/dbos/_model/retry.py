import random
class Backoff:
    def __init__(self): self.s=1.0
    def next(self):
        s=self.s*random.uniform(.5,1.5); self.s=min(60,self.s*2); return s
def step_wait(i,r,a): return min(i*r**a,3600)
