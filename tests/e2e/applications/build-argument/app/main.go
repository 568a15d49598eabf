// About tells which release is running.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "release %s\n", os.Getenv("RELEASE"))
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
