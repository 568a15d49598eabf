#!/bin/bash -l
env -i gunicorn app:app
