from enum import Enum
class WorkflowStatusString(str,Enum):
    PENDING="PENDING"
