docker build -t hello .
