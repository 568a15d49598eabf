# syntax=registry.example/frontend:2
FROM scratch
