docker buildx build --build-context alpine:3=docker-image://alpine:edge -t x .
