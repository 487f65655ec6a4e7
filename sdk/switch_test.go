package sdk

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// light is a switch that can be made to fail.
type light struct {
	on    bool
	stuck bool
	blind error
}

func (l *light) fault() Fault[struct{}, string] {
	return Switch[struct{}, string]{
		Type: "light_on", Accepts: []schema.Accept{{Interface: "light"}}, Hold: HoldJournal, RevertTime: time.Second,
		Prepare: func(context.Context, PrepareTarget, struct{}) (Prepared[string], error) {
			return Prepared[string]{Undo: "hall"}, nil
		},
		On:   func(context.Context, struct{}, string) error { l.on = true; return nil },
		Off:  func(context.Context, string) error { l.on = l.stuck; return nil },
		IsOn: func(_ context.Context, u string) (bool, string, error) { return l.on, "looked at " + u, l.blind },
	}.Fault()
}

func TestSwitch(t *testing.T) {
	ctx := t.Context()
	l := &light{}
	f := l.fault()
	if _, err := f.describe(); err != nil {
		t.Fatalf("it is no whole fault: %v", err)
	}
	known := []Known[string]{{Fault: "f1", Target: "hall", Undo: "hall"}}
	if r, err := f.Revert(ctx, "hall"); err != nil || r.Outcome != AlreadyGone || r.Proof != "looked at hall" {
		t.Errorf("off: reverted %+v, %v", r, err)
	}
	if found, err := f.Scan(ctx, known); err != nil || len(found) != 0 {
		t.Errorf("off: found %v, %v", found, err)
	}
	if err := f.Inject(ctx, struct{}{}, "hall"); err != nil {
		t.Fatal(err)
	}
	if e, err := f.Observe(ctx, struct{}{}, "hall"); err != nil || !e.Bites || e.Detail != "looked at hall" {
		t.Errorf("on: effect %+v, %v", e, err)
	}
	if found, err := f.Scan(ctx, known); err != nil || len(found) != 1 || found[0].Fault != "f1" || found[0].Kind != ResidueMatches {
		t.Errorf("on: found %v, %v", found, err)
	}
	l.stuck = true
	if _, err := f.Revert(ctx, "hall"); err == nil || !strings.Contains(err.Error(), "still on") {
		t.Errorf("stuck: %v", err)
	}
	l.stuck = false
	if r, err := f.Revert(ctx, "hall"); err != nil || r.Outcome != PutBack {
		t.Errorf("on: reverted %+v, %v", r, err)
	}
	l.blind = errors.New("dark")
	if _, err := f.Revert(ctx, "hall"); !errors.Is(err, l.blind) {
		t.Errorf("blind: revert %v", err)
	}
	if _, err := f.Scan(ctx, known); !errors.Is(err, l.blind) || !strings.Contains(err.Error(), "hall") {
		t.Errorf("blind: scan %v", err)
	}
}
