// Uploads keeps the last file that was sent to it.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			if _, err := os.Stat("/data/last"); err != nil {
				http.Error(w, "nothing yet", http.StatusNotFound)
				return
			}
			http.ServeFile(w, r, "/data/last")
			return
		}
		count, err := keep(r)
		if err != nil {
			log.Print(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%d bytes\n", count)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// keep lets no part of an upload wait in memory.
func keep(r *http.Request) (int64, error) {
	if err := r.ParseMultipartForm(1); err != nil {
		return 0, err
	}
	file, _, err := r.FormFile("file")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	last, err := os.Create("/data/last")
	if err != nil {
		return 0, err
	}
	defer last.Close()
	return io.Copy(last, file)
}
