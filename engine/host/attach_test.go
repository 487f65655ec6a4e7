package host

import (
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/wire"
)

// Engines use a plugin that is served one after the other: the next one begins when the
// session of the one before has ended.
func TestServedPluginHasOneEngineAtATime(t *testing.T) {
	path := built(t, t.TempDir(), "anything", "../../sdk/internal/lamp")
	served, at, err := New(Options{}).Serve(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer served.Kill()
	engine := func() (*Plugin, error) {
		return New(Options{Reattach: map[string]wire.Reattach{"lamp": at}}).Start(t.Context(), "lamp", wire.Configure{Run: "r"})
	}
	first, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Kill()
	if _, err := first.Session(t.Context()); err != nil {
		t.Fatal(err)
	}
	const refusal = "another engine is at work with this process of the plugin"
	if second, err := engine(); err == nil || !strings.Contains(err.Error(), refusal) {
		if err == nil {
			second.Kill()
		}
		t.Errorf("a second engine: %v", err)
	}
	first.Kill()
	eventually(t, "there is room for the engine after it", func() bool { // the plugin sees the end of the connection a moment later
		second, err := engine()
		if err == nil {
			second.Kill()
		} else if !strings.Contains(err.Error(), refusal) {
			t.Fatalf("the engine after it: %v", err)
		}
		return err == nil
	})
}
