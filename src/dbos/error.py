from ._error import *
