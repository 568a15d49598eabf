package main

import (
	"net/http"
	"time"
)

func main() {
	time.Local, _ = time.LoadLocation("Europe/Berlin")
	http.ListenAndServe(":8080", http.NotFoundHandler())
}
