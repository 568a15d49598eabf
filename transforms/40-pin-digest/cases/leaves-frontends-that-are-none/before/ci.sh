docker build -t registry.example/frontend:2 frontend
