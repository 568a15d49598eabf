// Spool writes the file that OUT names at every request.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		if err := os.WriteFile(os.Getenv("OUT"), []byte("a line\n"), 0o644); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "written")
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
