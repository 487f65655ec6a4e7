package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// closed puts a sign into a folder that says that it is closed. It is on or off, so that
// a Switch is enough; a fault with more to it is an sdk.Fault.
var closed = sdk.Switch[config, undo]{
	Type: "acme_close", Doc: "Closes a folder.", Accepts: []schema.Accept{{Interface: "folder"}},
	Hold: sdk.HoldJournal, RevertTime: time.Second, // who ends it when everybody is dead, and how long that takes
	Prepare: prepare, On: on, Off: off, IsOn: isOn,
}.Fault()

// The tags are the schema: the engine checks a scenario against it before anything runs,
// and `faultline docs acme_close` shows it. Other tags are enum, min, max, unit, example,
// sensitive, deprecated and exactly_one; what no tag can say is for a Check (see sdk.At).
type config struct {
	Sign string `hcl:"sign,optional" default:"CLOSED" pattern:"[A-Za-z]+" doc:"Name of the sign."`
}

// undo is all that is needed to put things back, also in another process after a crash.
type undo struct{ Sign string }

// prepare looks, and touches nothing. What it returns is on disk before on is called.
func prepare(_ context.Context, t sdk.PrepareTarget, c config) (p sdk.Prepared[undo], err error) {
	p = sdk.Prepared[undo]{Undo: undo{filepath.Join(t.ID, c.Sign)}, Resources: []string{"folder:" + t.ID}}
	if _, err := os.Stat(t.ID); err != nil {
		return p, errors.Join(sdk.ErrGone, err)
	}
	if _, err := os.Stat(p.Undo.Sign); err == nil {
		return p, fmt.Errorf("%s is there already: somebody else has closed it", p.Undo.Sign)
	}
	return p, nil
}

func on(_ context.Context, _ config, u undo) error {
	f, err := os.OpenFile(u.Sign, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(sdk.ErrGone, err)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// off is called until isOn says that it worked, by whoever is left to do it.
func off(_ context.Context, u undo) error { return os.Remove(u.Sign) }

func isOn(_ context.Context, u undo) (bool, string, error) {
	_, err := os.Stat(u.Sign)
	if errors.Is(err, fs.ErrNotExist) {
		return false, "there is no " + u.Sign, nil
	}
	return err == nil, "there is " + u.Sign, err
}
