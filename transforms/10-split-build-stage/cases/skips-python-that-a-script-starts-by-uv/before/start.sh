#!/bin/sh
uv run alembic upgrade head
exec gunicorn -b :8000 app:app
