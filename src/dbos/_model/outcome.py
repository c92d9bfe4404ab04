from dataclasses import dataclass
from typing import *
T=TypeVar("T")
@dataclass(frozen=True,slots=True)
class Value(Generic[T]):
    value: T
@dataclass(frozen=True,slots=True)
class Failure:
    error: BaseException
Outcome=Union[Value[T],Failure]
def unwrap(o):
    if isinstance(o,Value): return o.value
    raise o.error
