// Command faultline-plugin-lamp is the smallest whole plugin. A lamp is a file; the
// fault lamp_off takes it away, by another name in the same folder.
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
	"golang.org/x/sys/unix"
)

func main() { sdk.Serve(plugin()) }

func plugin() sdk.Plugin {
	return sdk.Plugin{Name: "lamp", Version: "0.1.0", Doc: "Switches lamps off.",
		Targets: []sdk.TargetType{sdk.Target[match]{Type: "lamp", Doc: "A file.", Interfaces: []string{"lamp"}, Discover: discover}},
		Faults: []sdk.FaultType{sdk.Fault[config, undo]{
			Type: "lamp_off", Doc: "Takes a lamp away.", Accepts: []schema.Accept{{Interface: "lamp"}},
			Hold: sdk.HoldJournal, Reversibility: sdk.Reversible, RevertTime: time.Second,
			Prepare: prepare, Inject: inject, Observe: observe, Revert: revert, Scan: scan,
		}}}
}

type match struct {
	Path string `hcl:"path" doc:"Pattern of the lamps' paths."`
}

func discover(_ context.Context, m match) (found []sdk.Candidate, err error) {
	paths, err := filepath.Glob(m.Path)
	for _, path := range paths {
		found = append(found, sdk.Candidate{ID: path, Name: filepath.Base(path)})
	}
	return found, err
}

type config struct {
	Suffix string `hcl:"suffix,optional" default:".off" doc:"What is added to the lamp's name."`
}

// undo is all that Revert needs, also in another process after a crash.
type undo struct{ Lamp, Hidden string }

func prepare(_ context.Context, t sdk.PrepareTarget, c config) (p sdk.Prepared[undo], err error) {
	if _, err := os.Stat(t.ID); errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("lamp %s: %w", t.ID, sdk.ErrGone)
	}
	return sdk.Prepared[undo]{Undo: undo{t.ID, t.ID + c.Suffix}, Resources: []string{"lamp:" + t.ID}}, nil
}

func inject(_ context.Context, _ config, u undo) error {
	err := move(u.Lamp, u.Hidden)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("lamp %s: %w", u.Lamp, sdk.ErrGone)
	}
	return err
}

func observe(_ context.Context, _ config, u undo) (sdk.Effect, error) {
	_, err := os.Stat(u.Hidden)
	return sdk.Effect{Bites: err == nil, Detail: "looked for " + u.Hidden}, nil
}

func revert(_ context.Context, u undo) (sdk.Reverted, error) {
	switch err := move(u.Hidden, u.Lamp); {
	case errors.Is(err, fs.ErrNotExist):
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "there is no " + u.Hidden}, nil
	case errors.Is(err, fs.ErrExist):
		return sdk.Reverted{Outcome: sdk.ForeignChange, Residue: true, Proof: "there is another " + u.Lamp}, nil
	default:
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: "moved back to " + u.Lamp}, err
	}
}

func scan(_ context.Context, known []sdk.Known[undo]) (found []sdk.Residue, err error) {
	for _, k := range known {
		if _, err := os.Stat(k.Undo.Hidden); err == nil {
			found = append(found, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches})
		}
	}
	return found, nil
}

// move never replaces a file: what is not ours stays.
func move(from, to string) error {
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
}
