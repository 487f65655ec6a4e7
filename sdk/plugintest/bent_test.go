package plugintest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// A lamp is a folder with the file lamp, which says "on", and the file serial, which
// says which lamp it is.

func newLamp(t testing.TB) sdk.Candidate {
	t.Helper()
	dir := t.TempDir()
	c := sdk.Candidate{Kind: "bent_lamp", ID: dir, Name: filepath.Base(dir), Interfaces: []string{"lamp"}}
	replaceLamp(t, c)
	return c
}

func replaceLamp(t testing.TB, c sdk.Candidate) {
	t.Helper()
	if err := errors.Join(
		os.RemoveAll(c.ID), os.MkdirAll(c.ID, 0o700),
		os.WriteFile(filepath.Join(c.ID, "serial"), []byte(rand.Text()), 0o600),
		os.WriteFile(filepath.Join(c.ID, "lamp"), []byte("on"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
}

func breakLamp(t testing.TB, c sdk.Candidate) {
	t.Helper()
	if err := os.RemoveAll(c.ID); err != nil {
		t.Fatal(err)
	}
}

func isDark(c sdk.Candidate) (bool, error) {
	is, err := os.ReadFile(filepath.Join(c.ID, "lamp"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // half-way between on and off: lookAtLamp tells
	}
	return string(is) == "off", err
}

func lookAtLamp(c sdk.Candidate) (string, error) {
	files, err := os.ReadDir(c.ID)
	if err != nil {
		return "", err
	}
	var out []string
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(c.ID, f.Name()))
		if err != nil {
			return "", err
		}
		out = append(out, f.Name()+"="+string(content))
	}
	return strings.Join(out, " "), nil
}

type (
	noConfig struct{}
	lampUndo struct{ Dir, Serial, Was, Nonce string }
	lampOff  = sdk.Fault[noConfig, lampUndo]
)

func (u lampUndo) lamp() string  { return filepath.Join(u.Dir, "lamp") }
func (u lampUndo) saved() string { return filepath.Join(u.Dir, "lamp.saved") }
func (u lampUndo) done() string  { return filepath.Join(u.Dir, "lamp.done") }

// same says whether the lamp still is the one of the undo record.
func (u lampUndo) same() error {
	serial, err := os.ReadFile(filepath.Join(u.Dir, "serial"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(serial) != u.Serial {
		return fmt.Errorf("lamp %s: %w", u.Serial, sdk.ErrGone)
	}
	return err
}

func write(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func putBack(proof string) (sdk.Reverted, error) {
	return sdk.Reverted{Outcome: sdk.PutBack, Proof: proof}, nil
}

func nothingThere(proof string) (sdk.Reverted, error) {
	return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: proof}, nil
}

// sound switches a lamp off in two steps, and keeps its whole contract.
func sound() lampOff {
	return lampOff{
		Type: "bent_sound", Doc: "Switches a lamp off.", Accepts: []schema.Accept{{Interface: "lamp"}},
		Hold: sdk.HoldJournal, Reversibility: sdk.Reversible, RevertTime: time.Second,
		Prepare: func(_ context.Context, t sdk.PrepareTarget, _ noConfig) (out sdk.Prepared[lampUndo], err error) {
			u := lampUndo{Dir: t.ID, Serial: read(filepath.Join(t.ID, "serial")), Was: read(filepath.Join(t.ID, "lamp"))}
			out.Undo, out.Incarnation = u, u.Serial
			return out, u.same()
		},
		Inject: func(ctx context.Context, _ noConfig, u lampUndo) error {
			if err := u.same(); err != nil {
				return err
			}
			if err := os.Remove(u.lamp()); err != nil {
				return err
			}
			if err := pause(ctx, 30*time.Millisecond); err != nil {
				return err
			}
			return write(u.lamp(), "off")
		},
		Observe: func(_ context.Context, _ noConfig, u lampUndo) (sdk.Effect, error) {
			is := read(u.lamp())
			return sdk.Effect{Bites: is == "off", Detail: "the lamp is " + is}, nil
		},
		Revert: func(_ context.Context, u lampUndo) (sdk.Reverted, error) {
			if err := u.same(); err != nil {
				return nothingThere(err.Error())
			}
			if read(u.lamp()) == u.Was {
				return nothingThere("the lamp is as it was")
			}
			if err := write(u.lamp(), u.Was); err != nil {
				return sdk.Reverted{}, err
			}
			return putBack("the lamp is " + read(u.lamp()))
		},
		Scan: func(_ context.Context, known []sdk.Known[lampUndo]) (out []sdk.Residue, err error) {
			for _, k := range known {
				if k.Undo.same() == nil && read(k.Undo.lamp()) == "off" {
					out = append(out, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches, Detail: "dark"})
				}
			}
			return out, nil
		},
	}
}

// bends make a fault of the sound one that breaks a promise.
var bends = map[string]func(f *lampOff){
	"undocumented": func(f *lampOff) { f.Doc = "" },
	"touching": func(f *lampOff) {
		f.Prepare = func(ctx context.Context, t sdk.PrepareTarget, c noConfig) (sdk.Prepared[lampUndo], error) {
			_ = write(filepath.Join(t.ID, "fingerprint"), "mine")
			return sound().Prepare(ctx, t, c)
		}
	},
	"injecting": func(f *lampOff) {
		f.Prepare = func(ctx context.Context, t sdk.PrepareTarget, c noConfig) (sdk.Prepared[lampUndo], error) {
			p, err := sound().Prepare(ctx, t, c)
			_ = write(p.Undo.lamp(), "off")
			return p, err
		}
	},
	"fickle": func(f *lampOff) {
		f.Prepare = func(ctx context.Context, t sdk.PrepareTarget, c noConfig) (sdk.Prepared[lampUndo], error) {
			p, err := sound().Prepare(ctx, t, c)
			p.Undo.Nonce = rand.Text()
			return p, err
		}
	},
	"idle": func(f *lampOff) { f.Inject = func(context.Context, noConfig, lampUndo) error { return nil } },
	"blind": func(f *lampOff) {
		f.Observe = func(context.Context, noConfig, lampUndo) (sdk.Effect, error) { return sdk.Effect{}, nil }
	},
	"boasting": func(f *lampOff) {
		f.Observe = func(context.Context, noConfig, lampUndo) (sdk.Effect, error) { return sdk.Effect{Bites: true}, nil }
	},
	"sloppy": func(f *lampOff) {
		f.Revert = func(ctx context.Context, u lampUndo) (sdk.Reverted, error) {
			_ = write(filepath.Join(u.Dir, "note"), "was here")
			return sound().Revert(ctx, u)
		}
	},
	"pretending": func(f *lampOff) {
		f.Revert = func(context.Context, lampUndo) (sdk.Reverted, error) { return putBack("trust me") }
	},
	"unproven": func(f *lampOff) {
		f.Revert = func(ctx context.Context, u lampUndo) (sdk.Reverted, error) {
			r, err := sound().Revert(ctx, u)
			r.Proof = ""
			return r, err
		}
	},
	"panicking": func(f *lampOff) { f.Inject = func(context.Context, noConfig, lampUndo) error { panic("oh dear") } },
	"narrow": func(f *lampOff) {
		var once sync.Once
		f.Inject = func(_ context.Context, _ noConfig, u lampUndo) (err error) {
			once.Do(func() { err = write(u.lamp(), "off") })
			return err
		}
	},
	"once": func(f *lampOff) {
		f.Inject = func(_ context.Context, _ noConfig, u lampUndo) error {
			return errors.Join(os.Rename(u.lamp(), u.saved()), write(u.lamp(), "off"))
		}
		f.Revert = func(_ context.Context, u lampUndo) (sdk.Reverted, error) {
			if err := os.Rename(u.saved(), u.lamp()); err != nil {
				return sdk.Reverted{}, err
			}
			return putBack("renamed")
		}
	},
	"eager": func(f *lampOff) {
		f.Revert = func(_ context.Context, u lampUndo) (sdk.Reverted, error) {
			next := map[string]string{"on": "off", "off": "on"}[read(u.lamp())]
			if err := write(u.lamp(), next); err != nil {
				return sdk.Reverted{}, err
			}
			return putBack("toggled")
		}
	},
	"strict": func(f *lampOff) {
		f.Revert = func(ctx context.Context, u lampUndo) (sdk.Reverted, error) {
			if read(u.lamp()) == u.Was {
				return sdk.Reverted{}, errors.New("the lamp is on already")
			}
			return sound().Revert(ctx, u)
		}
	},
	"remembering": func(f *lampOff) {
		var injected sync.Map
		f.Inject = func(ctx context.Context, c noConfig, u lampUndo) error {
			injected.Store(u.Dir, true)
			return sound().Inject(ctx, c, u)
		}
		f.Revert = func(ctx context.Context, u lampUndo) (sdk.Reverted, error) {
			if _, ok := injected.Load(u.Dir); !ok {
				return nothingThere("never injected")
			}
			return sound().Revert(ctx, u)
		}
	},
	"silent": func(f *lampOff) {
		f.Scan = func(context.Context, []sdk.Known[lampUndo]) ([]sdk.Residue, error) { return nil, nil }
	},
	"crying": func(f *lampOff) {
		f.Scan = func(_ context.Context, known []sdk.Known[lampUndo]) (out []sdk.Residue, err error) {
			for _, k := range known {
				out = append(out, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches})
			}
			return out, nil
		}
	},
	"deaf": func(f *lampOff) {
		f.Inject = func(_ context.Context, _ noConfig, u lampUndo) error {
			<-time.After(5 * time.Second)
			return write(u.lamp(), "off")
		}
	},
	"vague": func(f *lampOff) {
		f.Prepare = func(ctx context.Context, t sdk.PrepareTarget, c noConfig) (sdk.Prepared[lampUndo], error) {
			p, err := sound().Prepare(ctx, t, c)
			if err != nil {
				err = errors.New(err.Error())
			}
			return p, err
		}
	},
	"stubborn": func(f *lampOff) {
		f.Revert = func(ctx context.Context, u lampUndo) (sdk.Reverted, error) {
			if err := u.same(); err != nil {
				return sdk.Reverted{}, err
			}
			return sound().Revert(ctx, u)
		}
	},
	"trusting": func(f *lampOff) {
		f.Inject = func(_ context.Context, _ noConfig, u lampUndo) error { return write(u.lamp(), "off") }
	},
	"halfway": func(f *lampOff) {
		f.Inject = func(ctx context.Context, _ noConfig, u lampUndo) error {
			return errors.Join(write(u.lamp(), "off"), pause(ctx, 150*time.Millisecond), write(u.done(), ""))
		}
		f.Revert = func(ctx context.Context, u lampUndo) (sdk.Reverted, error) {
			if os.Remove(u.done()) != nil {
				return nothingThere("no mark of ours")
			}
			return sound().Revert(ctx, u)
		}
	},
	"fragile": func(f *lampOff) {
		f.Inject = func(_ context.Context, _ noConfig, u lampUndo) error {
			return errors.Join(os.Rename(u.lamp(), u.saved()), write(u.lamp(), "off"))
		}
		f.Revert = func(ctx context.Context, u lampUndo) (sdk.Reverted, error) {
			was, err := os.ReadFile(u.saved())
			if err != nil {
				return nothingThere("nothing is saved")
			}
			if err := errors.Join(os.Remove(u.saved()), os.Remove(u.lamp()), pause(ctx, 150*time.Millisecond), write(u.lamp(), string(was))); err != nil {
				return sdk.Reverted{}, err
			}
			return putBack("written anew")
		}
	},
	"leaking": func(f *lampOff) {
		f.Inject = func(ctx context.Context, c noConfig, u lampUndo) error {
			go func() { select {} }()
			return sound().Inject(ctx, c, u)
		}
	},
	"littering": func(f *lampOff) {
		f.Inject = func(ctx context.Context, c noConfig, u lampUndo) error {
			return errors.Join(exec.Command("sleep", "60").Start(), sound().Inject(ctx, c, u))
		}
	},
	"final": func(f *lampOff) {
		f.Reversibility = sdk.Irreversible
		f.Prepare = func(ctx context.Context, t sdk.PrepareTarget, c noConfig) (sdk.Prepared[lampUndo], error) {
			if !t.AcceptIrreversible {
				return sdk.Prepared[lampUndo]{}, errors.New(`nothing puts this back: say irreversible = "accept"`)
			}
			return sound().Prepare(ctx, t, c)
		}
		f.Revert = func(context.Context, lampUndo) (sdk.Reverted, error) { return nothingThere("it stays dark") }
	},
}

// bent is the plugin of all of them.
func bent() sdk.Plugin {
	p := sdk.Plugin{
		Name: "bent", Version: "0.1.0", Doc: "Faults that break their contract.",
		Settings: sdk.SettingsOf(func(context.Context, struct {
			Greeting string `hcl:"greeting,optional"`
		}) error {
			return nil
		}),
		Faults: []sdk.FaultType{sound(), held(), forgetful(), undying()},
	}
	for name, bend := range bends {
		f := sound()
		f.Type = "bent_" + name
		bend(&f)
		p.Faults = append(p.Faults, f)
	}
	return p
}
