FROM python:3.11-slim AS build
WORKDIR /app
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY requirements.txt .
COPY native/ native/
RUN python -m venv /opt/build-venv && /opt/build-venv/bin/pip install --no-cache-dir -r requirements.txt

FROM python:3.11-slim
WORKDIR /app
COPY --from=build /opt/build-venv /opt/venv
COPY . .
EXPOSE 8000
CMD ["python", "app.py"]
