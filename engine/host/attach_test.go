package host

import (
	"errors"
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

// Whether the process that has ended closes the connection first or we do, who notice its
// end: its calls say that it is gone.
func TestCallsOfAnAttachedProcessThatEnds(t *testing.T) {
	path := built(t, t.TempDir(), "anything", "../../sdk/internal/lamp")
	for name, end := range map[string]func(served, attached *Plugin){
		"it is killed":       func(served, _ *Plugin) { served.Kill() },
		"its end is noticed": func(_, p *Plugin) { p.attached.let(true) },
	} {
		t.Run(name, func(t *testing.T) {
			served, at, err := New(Options{}).Serve(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer served.Kill()
			p, err := New(Options{Reattach: map[string]wire.Reattach{"lamp": at}}).Start(t.Context(), "lamp", wire.Configure{Run: "r"})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Kill()
			session, err := p.Session(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			failed := make(chan error, 1)
			go func() {
				_, err := session.Next()
				failed <- err
			}()
			end(served, p)
			if err := <-failed; !errors.Is(err, wire.ErrGone) || !strings.Contains(err.Error(), "has ended") {
				t.Errorf("the call under way: %v", err)
			}
			if _, err := p.Describe(t.Context()); !errors.Is(err, wire.ErrGone) {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}
