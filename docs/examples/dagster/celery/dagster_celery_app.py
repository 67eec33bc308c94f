"""What `celery -A dagster_celery_app worker` serves: Dagster runs, as launcher.yaml sends them."""

import os

from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

app = make_app(
    {
        "broker": os.environ["WPB_CELERY_BROKER"],
        "backend": os.environ["WPB_CELERY_BACKEND"],
        "config_source": {"worker_prefetch_multiplier": 1, "task_acks_late": True},
    }
)
execute_job = create_execute_job_task(app)
resume_job = create_resume_job_task(app)
