package main

import (
	"errors"
	"flag"
	"net/http"
	"os"
)

// sale is the answer to a checkout.
type sale struct {
	Instance string `json:"instance"` // name of the web process that answered
	Item     string `json:"item"`
	taken
}

func newWebCommand(flags *flag.FlagSet) command {
	host, _ := os.Hostname() // without one, -name says who we are
	name := flags.String("name", host, "`name` of this instance in its answers")
	store := flags.String("store", "", "`URL` of the store: http://host:port or redis://host:port")
	patience := flags.Duration("store-timeout", storeTimeout, "`time` for the store to sell an item")
	return func() (http.Handler, error) {
		if *store == "" {
			return nil, errors.New("-store is missing")
		}
		if *patience <= 0 {
			return nil, errors.New("-store-timeout must be above zero")
		}
		shelf, err := openStock(*store, *patience)
		if err != nil {
			return nil, err
		}
		return webHandler(*name, shelf), nil
	}
}

// webHandler serves /checkout, which sells one item (?item=, a mug by default),
// and /healthz, which says that the process lives and asks nobody else.
func webHandler(instance string, shelf stock) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/checkout", func(w http.ResponseWriter, r *http.Request) {
		item := r.URL.Query().Get("item")
		if item == "" {
			item = "mug"
		}
		sold, err := shelf.Take(r.Context(), item)
		switch {
		case err != nil:
			answer(w, http.StatusServiceUnavailable, failure{Instance: instance, Error: err.Error()})
		case sold.Left < 0:
			answer(w, http.StatusConflict, failure{Instance: instance, Error: "sold out"})
		default:
			answer(w, http.StatusOK, sale{Instance: instance, Item: item, taken: sold})
		}
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, struct {
			Instance string `json:"instance"`
		}{instance})
	})
	return mux
}
