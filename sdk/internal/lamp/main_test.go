package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugin()) }

func TestLampOff(t *testing.T) {
	plugintest.Fault(t, plugintest.Case{
		Plugin: plugin(), Type: "lamp_off",
		Target: newLamp,
		Bitten: func(lamp sdk.Candidate) (bool, error) {
			_, err := os.Stat(lamp.ID)
			return os.IsNotExist(err), nil
		},
		Destroy: func(t testing.TB, lamp sdk.Candidate) {
			if err := os.RemoveAll(filepath.Dir(lamp.ID)); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func newLamp(t testing.TB) sdk.Candidate {
	path := filepath.Join(t.TempDir(), "lamp")
	if err := os.WriteFile(path, []byte("shining"), 0o600); err != nil {
		t.Fatal(err)
	}
	return sdk.Candidate{ID: path, Name: "lamp"}
}

func TestDiscover(t *testing.T) {
	lamp := newLamp(t)
	match, err := json.Marshal(map[string]string{"path": filepath.Join(filepath.Dir(lamp.ID), "l*")})
	if err != nil {
		t.Fatal(err)
	}
	found, err := plugintest.Client(t, plugin()).Discover(t.Context(), "lamp", match)
	if err != nil || len(found) != 1 || found[0].ID != lamp.ID || found[0].Kind != "lamp" {
		t.Errorf("found %+v, %v", found, err)
	}
}
