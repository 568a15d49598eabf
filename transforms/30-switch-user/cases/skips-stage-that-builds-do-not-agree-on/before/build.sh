docker build -t web .
