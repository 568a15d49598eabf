#!/bin/bash
exec python job.py
