//go:build linux

package main

import (
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/sdk"
)

// Clients of a real container meet the fault without being told of any proxy.
func TestContainer(t *testing.T) {
	needsRoot(t)
	store := dockertest.Run(t, dockertest.Container{
		Image: dockertest.ShopImage(t), Args: []string{"store", "-listen", ":8080"}, Publish: "8080",
	})
	ask := func() (int, error) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: enough}
		r, err := client.Get("http://" + store.Address + "/healthz")
		if err != nil {
			return 0, err
		}
		r.Body.Close()
		return r.StatusCode, nil
	}
	for end := time.Now().Add(enough); ; <-time.After(20 * time.Millisecond) {
		if status, err := ask(); status == http.StatusOK {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the store does not answer: %d, %v", status, err)
		}
	}
	p := newProxies()
	defer p.close()
	target := sdk.Candidate{
		Kind: "docker_container", Interfaces: []string{"container"}, ID: store.ID, Name: store.Name,
		Attributes: map[string]any{"id": store.ID, "engine": os.Getenv("DOCKER_HOST")},
	}
	c := httpAbortConfig{Status: 418, requests: requests{Percent: 100, Path: "/health*", led: led{Ports: []string{"8080"}, Traffic: "in"}}}
	made, err := p.prepare(t.Context(), sdk.PrepareTarget{Candidate: target}, c)
	require(t, err)
	require(t, p.inject(t.Context(), c, made.Undo))
	if status, err := ask(); status != 418 {
		t.Errorf("under the fault: %d, %v", status, err)
	}
	if e, err := p.observe(t.Context(), c, made.Undo); err != nil || !e.Bites || e.Measures["requests_hit"] != 1 {
		t.Errorf("%+v, %v", e, err)
	}
	if r, err := p.revert(t.Context(), made.Undo); err != nil || r.Outcome != sdk.PutBack {
		t.Errorf("%+v, %v", r, err)
	}
	if status, err := ask(); status != http.StatusOK {
		t.Errorf("after it: %d, %v", status, err)
	}
	target.Attributes["id"] = "0123456789ab"
	if _, err := p.prepare(t.Context(), sdk.PrepareTarget{Candidate: target}, c); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("a container that does not exist: %v", err)
	}
}
