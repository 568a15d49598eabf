#!/bin/bash
poetry run python manage.py migrate
exec gunicorn app:app
