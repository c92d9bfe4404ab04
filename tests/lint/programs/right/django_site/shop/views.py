import json
import uuid

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from dbos import DBOS, SetWorkflowID

from .models import Order
from .tasks import QUEUE, fulfil


def workflow_of(number: int) -> str:
    return f"order-{number}"


@require_POST
def create_order(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    order = Order.objects.create(item=body["item"])
    with SetWorkflowID(workflow_of(order.pk)):
        DBOS.enqueue_workflow(QUEUE, fulfil, order.pk)
    response = JsonResponse({"number": order.pk}, status=202)
    response["X-Request-Id"] = uuid.uuid4().hex
    return response


def order_detail(request: HttpRequest, number: int) -> HttpResponse:
    status = DBOS.get_workflow_status(workflow_of(number))
    order = Order.objects.get(pk=number)
    return JsonResponse({"order": str(order), "workflow": status.status if status else None})


@require_POST
def cancel(request: HttpRequest, number: int) -> HttpResponse:
    DBOS.send(workflow_of(number), True, "cancel")
    return HttpResponse(status=204)
