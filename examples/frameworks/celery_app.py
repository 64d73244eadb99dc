"""A Celery task that asks for many prices at once.

python price_service.py &
celery --app celery_app worker &
python -c "import celery_app; print(celery_app.total.delay([3, 4]).get())"     prints 25

Messages and results are files here, so that no broker is needed; QUEUE is their folder.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import prices
from celery import Celery

QUEUE = Path(os.environ.get("QUEUE", "/tmp/celery_app"))
for folder in ("messages", "control", "results"):
    (QUEUE / folder).mkdir(parents=True, exist_ok=True)

app = Celery("celery_app", broker="filesystem://localhost", backend=f"file://{QUEUE / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": QUEUE / "messages",
    "data_folder_out": QUEUE / "messages",
    "control_folder": QUEUE / "control",
}


@app.task(throws=LookupError)
def total(items: Sequence[str]) -> int:
    try:
        return prices.total(items)
    except aiohttp.ClientError as error:
        raise LookupError(str(error)) from None  # Celery can't send those of aiohttp
