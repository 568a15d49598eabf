import pymc as pm, torch
m = torch.compile(lambda x: x)
