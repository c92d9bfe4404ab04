import os
from types import SimpleNamespace
DBOSConfig=dict
Settings=SimpleNamespace
def resolve(c,environ=None):
    d=dict(name="x",application_version=None,executor_id="local",system_database_url="sqlite:///x.sqlite",system_database_engine=None,system_schema="dbos",sys_db_pool_size=20,db_engine_kwargs={},idle_transaction_timeout_ms=60000,observability_query_timeout_ms=30000,use_listen_notify=True,run_migrations=True,notification_listener_polling_interval_sec=1.0,max_executor_threads=None,serializer=None,cloud=False,application_id="",conductor_key=None,run_admin_server=False)
    d.update({k:v for k,v in c.items() if k in d}); return SimpleNamespace(**d)
