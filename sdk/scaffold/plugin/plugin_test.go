package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// The kit starts the plugin as a process of its own: this is how.
func TestMain(m *testing.M) { plugintest.Main(m, plugin()) }

// Every promise that a fault makes is kept: the plugin is killed at each point of the
// fault's life, loses its engine and its lease, and everything is put back.
func TestClose(t *testing.T) {
	plugintest.Fault(t, plugintest.Case{
		Plugin: plugin(), Type: "acme_close",
		Target: folder,
		Bitten: func(target sdk.Candidate) (bool, error) {
			_, err := os.Stat(filepath.Join(target.ID, "CLOSED"))
			return err == nil, nil
		},
		Destroy: func(t testing.TB, target sdk.Candidate) {
			if err := os.RemoveAll(target.ID); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func folder(t testing.TB) sdk.Candidate {
	path := t.TempDir()
	return sdk.Candidate{ID: path, Name: filepath.Base(path)}
}

func TestDiscover(t *testing.T) {
	target := folder(t)
	if err := os.WriteFile(target.ID+".txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	match, err := json.Marshal(map[string]string{"path": target.ID + "*"})
	if err != nil {
		t.Fatal(err)
	}
	found, err := plugintest.Client(t, plugin()).Discover(t.Context(), "acme_folder", match)
	if err != nil || len(found) != 1 || found[0].ID != target.ID {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestProbe(t *testing.T) {
	sign := filepath.Join(t.TempDir(), "CLOSED")
	if s := look(sign); s.Error != "" {
		t.Errorf("an open folder: %+v", s)
	}
	if err := os.WriteFile(sign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := look(sign); s.Error != "closed" {
		t.Errorf("a closed folder: %+v", s)
	}
}
