from django.urls import path
from shop import views

urlpatterns = [
    path("orders/<int:number>/", views.order_detail),
    path("orders/", views.create_order),
    path("orders/<int:number>/cancel", views.cancel),
]
