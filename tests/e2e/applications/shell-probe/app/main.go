// Tides tells the tide of an hour. It says that it is ready by a line on standard output, and the manifest asks by itself.
package main

import (
	"fmt"
	"log"
	"net/http"
	"strconv"
)

func main() {
	http.HandleFunc("/tide/", func(w http.ResponseWriter, r *http.Request) {
		hour, err := strconv.Atoi(r.URL.Path[len("/tide/"):])
		if err != nil {
			http.Error(w, "which hour?", http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, []string{"low", "rising", "high", "falling"}[hour/3%4])
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
