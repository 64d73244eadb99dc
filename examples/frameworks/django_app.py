"""A Django view that asks for many prices at once.

python price_service.py &
python django_app.py runserver         http://127.0.0.1:8000/total?item=3&item=4 is 25
"""

import sys

import aiohttp
import prices
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"])


def total(request: HttpRequest) -> HttpResponse:
    try:
        return HttpResponse(prices.total(request.GET.getlist("item")))
    except aiohttp.ClientError as error:
        return HttpResponse(str(error), status=502)


urlpatterns = [path("total", total)]
app = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
