package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	if _, err := os.Create("log"); err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	log.Fatal(http.ListenAndServe(":8080", nil))
}
