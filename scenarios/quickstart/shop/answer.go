package main

import (
	"encoding/json"
	"net/http"
)

// answer writes v as JSON. The types given to it always encode, and a client
// that has gone away is nobody to report to.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// failure is the body of every answer that is not a success.
type failure struct {
	Instance string `json:"instance,omitempty"` // who says so
	Error    string `json:"error"`
}
