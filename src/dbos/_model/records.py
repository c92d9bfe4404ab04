from typing import *
from dataclasses import make_dataclass
class WorkflowStatus:
    def __init__(self,**k): self.__dict__.update(k)
class StepInfo(TypedDict): pass
StepInfo=dict
StepOptions=EnqueueOptions=SendMessage=VersionInfo=WorkflowSchedule=dict
DuplicationPolicy=WorkflowIDReusePolicy=str
