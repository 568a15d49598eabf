docker build -t shop/tools:dev -f tools.Dockerfile .
