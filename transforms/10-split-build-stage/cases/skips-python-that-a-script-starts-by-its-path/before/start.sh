#!/bin/sh
exec /usr/local/bin/gunicorn -b :8000 app:app
