// Counter counts page visits in Redis.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	store := &redis{
		address:  setting("REDIS_ADDR", "localhost:6379"),
		password: os.Getenv("REDIS_PASSWORD"),
	}
	address := ":" + setting("PORT", "8080")
	log.Printf("counter listening on %s, redis at %s", address, store.address)
	log.Fatal(http.ListenAndServe(address, routes(store)))
}

func routes(store *redis) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		answer(w, "visits: %s\n")(store.do("INCR", "visits"))
	})
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "visits: %s\n")(store.do("GET", "visits"))
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "%s\n")(store.do("PING"))
	})
	return mux
}

func answer(w http.ResponseWriter, format string) func(string, error) {
	return func(reply string, err error) {
		if err != nil {
			log.Print(err)
			http.Error(w, "redis did not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, format, reply)
	}
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
