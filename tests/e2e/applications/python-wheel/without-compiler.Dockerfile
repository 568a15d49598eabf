FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
COPY native/ native/
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 8000
CMD ["python", "app.py"]
