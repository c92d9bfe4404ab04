from typing import Any
ValidateArgs=Any
def pydantic_args_validator(a,k): raise NotImplementedError
def make_pydantic_args_validator(f): return None
def coerce_portable_dates(f,a,k,skip_first=False): return a,k
