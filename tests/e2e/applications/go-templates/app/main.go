// Greeter greets with a template that it reads at every request, so that it can be edited in place.
package main

import (
	"fmt"
	"html/template"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		page, err := template.ParseFiles("templates/greeting.html")
		if err != nil {
			log.Print(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		values := map[string]string{"Greeting": "Hello", "Name": r.URL.Query().Get("name")}
		if err := page.Execute(w, values); err != nil {
			log.Print(err)
		}
	})
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, os.Getenv("GREETER_MOTTO"))
	})
	log.Print("greeter listening on :8080")
	log.Fatal(http.ListenAndServe(":8080", nil))
}
