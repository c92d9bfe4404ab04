import pickle,base64,json
from enum import Enum
class Serializer: pass
class DBOSPortableJSONSerializer(Serializer): pass
class WorkflowSerializationFormat(str,Enum):
    DEFAULT="default"; PORTABLE="portable"; NATIVE="native"
class Codec:
    def __init__(self,configured): pass
    def name_for(self,f): return "portable_json" if f=="portable" else "py_pickle"
    def available(self,n): return True
    def dumps(self,v,name): return json.dumps(v) if name=="portable_json" else base64.b64encode(pickle.dumps(v)).decode()
    def loads(self,t,name): return json.loads(t) if name=="portable_json" else pickle.loads(base64.b64decode(t))
    def dump_inputs(self,a,k,name): return self.dumps({"args":a,"kwargs":k},name)
    def load_inputs(self,t,name):
        d=self.loads(t,name); return d["args"],d["kwargs"]
    def dump_error(self,e,name): return self.dumps(e,name)
    def dump_outcome_error(self,e,name):
        try: return self.dumps(e,name)
        except Exception: return self.dumps(Exception(f"{type(e).__name__}: {e}"),name)
    load_error=loads; peek=loads; peek_inputs=loads; peek_error=loads
