docker build -t example.com/shop/base .
