package main

import "net/http"

var version string

func main() {
	http.ListenAndServe(":8080", http.NotFoundHandler())
}
