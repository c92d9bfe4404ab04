class DBOSException(Exception):
    pass
class DBOSBaseException(BaseException):
    pass
class PortableWorkflowError(Exception):
    pass
class DBOSWorkflowConflictIDError(DBOSBaseException):
    def __init__(self,workflow_id):
        super().__init__(workflow_id)
        self.workflow_id=workflow_id
class DBOSRecoveryError(DBOSException):
    def __init__(self,workflow_id,message):
        super().__init__(workflow_id,message)
        self.workflow_id=workflow_id
        self.message=message
class DBOSInitializationError(DBOSException):
    def __init__(self,message):
        super().__init__(message)
        self.message=message
class DBOSWorkflowFunctionNotFoundError(DBOSException):
    def __init__(self,workflow_id,message):
        super().__init__(workflow_id,message)
        self.workflow_id=workflow_id
        self.message=message
class DBOSNonExistentWorkflowError(DBOSException):
    def __init__(self,destination,destination_id):
        super().__init__(destination,destination_id)
        self.destination=destination
        self.destination_id=destination_id
class MaxRecoveryAttemptsExceededError(DBOSException):
    def __init__(self,wf_id,max_retries):
        super().__init__(wf_id,max_retries)
        self.wf_id=wf_id
        self.max_retries=max_retries
class DBOSMaxStepRetriesExceeded(DBOSException):
    def __init__(self,step_name,max_retries,errors):
        super().__init__(step_name,max_retries,errors)
        self.step_name=step_name
        self.max_retries=max_retries
        self.errors=errors
class DBOSNotAuthorizedError(DBOSException):
    def __init__(self,msg):
        super().__init__(msg)
        self.msg=msg
class DBOSConflictingWorkflowError(DBOSException):
    def __init__(self,workflow_id,message):
        super().__init__(workflow_id,message)
        self.workflow_id=workflow_id
        self.message=message
class DBOSWorkflowCancelledError(DBOSBaseException):
    def __init__(self,msg):
        super().__init__(msg)
        self.msg=msg
class DBOSUnexpectedStepError(DBOSException):
    def __init__(self,workflow_id,step_id,expected_name,recorded_name):
        super().__init__(workflow_id,step_id,expected_name,recorded_name)
        self.workflow_id=workflow_id
        self.step_id=step_id
        self.expected_name=expected_name
        self.recorded_name=recorded_name
class DBOSQueueDeduplicatedError(DBOSException):
    def __init__(self,workflow_id,queue_name,deduplication_id):
        super().__init__(workflow_id,queue_name,deduplication_id)
        self.workflow_id=workflow_id
        self.queue_name=queue_name
        self.deduplication_id=deduplication_id
class DBOSAwaitedWorkflowCancelledError(DBOSException):
    def __init__(self,workflow_id):
        super().__init__(workflow_id)
        self.workflow_id=workflow_id
class DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded(DBOSException):
    def __init__(self,workflow_id):
        super().__init__(workflow_id)
        self.workflow_id=workflow_id
class DBOSStepTimeoutError(DBOSException):
    def __init__(self,step_name,timeout_seconds):
        super().__init__(step_name,timeout_seconds)
        self.step_name=step_name
        self.timeout_seconds=timeout_seconds
class DBOSConflictingRegistrationError(DBOSException):
    def __init__(self,name):
        super().__init__(name)
        self.name=name
class DBOSQueryTimeoutError(DBOSException):
    def __init__(self,timeout_seconds):
        super().__init__(timeout_seconds)
        self.timeout_seconds=timeout_seconds
class DBOSWorkflowIDInUseError(DBOSException):
    def __init__(self,workflow_id,workflow_status,workflow_name):
        super().__init__(workflow_id,workflow_status,workflow_name)
        self.workflow_id=workflow_id
        self.workflow_status=workflow_status
        self.workflow_name=workflow_name
class DBOSStepNondeterminismError(DBOSException):
    def __init__(self,workflow_id,step_id):
        super().__init__(workflow_id,step_id)
        self.workflow_id=workflow_id
        self.step_id=step_id
