docker build -t app .
