docker build -t example.com/shop/worker .
