package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// dummy is a plugin that marks files, a fault as real as any: the mark is there or
// not. A test can make each of its calls go wrong.
func dummy() sdk.Plugin {
	return sdk.Plugin{
		Name: "dummy", Version: "1.2.3", Doc: words("Marks files, for tests."),
		Settings: sdk.SettingsOf(func(_ context.Context, s dummySettings) error {
			if s.Refuse != "" {
				return sdk.At("refuse", errors.New(words(s.Refuse)))
			}
			return nil
		}),
		Faults:  []sdk.FaultType{dummyMark()},
		Probes:  []sdk.ProbeType{dummyHealth()},
		Targets: []sdk.TargetType{dummyFile()},
		Actions: []sdk.ActionType{sdk.Action[dummyNoteConfig]{
			Type: "dummy_note", Doc: words("Writes a file."), Capabilities: []schema.Capability{schema.CapExhaust}, Check: dummyNoteConfig.check,
			Do: func(_ context.Context, c dummyNoteConfig) (string, error) {
				text := "noted"
				if c.Variable != "" {
					var err error
					if text, err = sdk.Env("dummy", c.Variable); err != nil {
						return "", err
					}
				}
				return careless("wrote " + c.File), os.WriteFile(c.File, []byte(text+"\n"), 0o600)
			},
		}},
	}
}

type dummySettings struct {
	Refuse string `hcl:"refuse,optional" doc:"What to refuse the settings with."`
}

// token is what a probe of this process was given; careless quotes it.
var token atomic.Pointer[string]

func careless(text string) string {
	text = words(text)
	t := token.Load()
	if t == nil {
		return text
	}
	fmt.Fprintln(os.Stderr, "the token is", *t)
	return text + " with token " + *t
}

// hostileEnv makes the plugin attack whoever reads what it says: words appends what a
// terminal would act on (its title, red, a C1 control, another direction of writing).
const hostileEnv = "DUMMY_HOSTILE"

const attack = "\x1b]0;owned\x07\x1b[31m\u009b5m\u202e\r!"

func words(text string) string {
	if os.Getenv(hostileEnv) == "" {
		return text
	}
	return text + attack
}

type dummyNoteConfig struct {
	File     string   `hcl:"file" doc:"The file to write."`
	Variable string   `hcl:"variable,optional" doc:"The environment variable whose value is written."`
	Tags     []string `hcl:"tags,optional" doc:"Words about it, which nobody reads."`
}

func (c dummyNoteConfig) check() error {
	var wrong []error
	if strings.HasPrefix(c.File, "~") {
		wrong = append(wrong, sdk.At("file", fmt.Errorf("nobody expands the ~ in %q: write the whole path", c.File)))
	}
	for i, tag := range c.Tags {
		if strings.Contains(tag, " ") {
			wrong = append(wrong, sdk.At(fmt.Sprintf("tags[%d]", i), fmt.Errorf("%q is more than a word", tag)))
		}
	}
	return errors.Join(wrong...)
}

// dummyFile finds the files of a folder; a mark is none.
func dummyFile() sdk.TargetType {
	return sdk.Target[struct {
		Dir string `hcl:"dir" doc:"The folder to look in."`
	}]{
		Type: "dummy_file", Doc: words("A file."), Interfaces: []string{"file"},
		Attributes: []schema.Attribute{{Name: "zone", Type: "string", Doc: words("The file's text.")}},
		Discover: func(_ context.Context, m struct {
			Dir string `hcl:"dir" doc:"The folder to look in."`
		}) ([]sdk.Candidate, error) {
			dir, err := filepath.Abs(m.Dir)
			if err != nil {
				return nil, err
			}
			entries, err := os.ReadDir(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			var out []sdk.Candidate
			for _, e := range entries {
				if strings.HasSuffix(e.Name(), markEnding) {
					continue
				}
				path := filepath.Join(dir, e.Name())
				zone, err := os.ReadFile(path)
				if err != nil {
					return nil, err
				}
				out = append(out, sdk.Candidate{
					ID: path, Name: words(e.Name()), Attributes: map[string]any{"zone": words(strings.TrimSpace(string(zone)))},
				})
			}
			return out, nil
		},
	}
}

const markEnding = ".marked"

type dummyMarkConfig struct {
	Trouble string `hcl:"trouble,optional" doc:"A folder of files called prepare, inject, observe, revert or scan, whose text says how that call goes wrong: fail, crash, hang or, for observe, blind."`
}

type dummyUndo struct {
	Path    string `json:"path"`
	Trouble string `json:"trouble,omitempty"`
}

func (u dummyUndo) mark() string { return u.Path + markEnding }

// trouble makes a call go wrong the way its file says.
func trouble(ctx context.Context, dir, call string) (how string, err error) {
	if dir == "" {
		return "", nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, call))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	how = strings.TrimSpace(string(raw))
	switch how {
	case "fail":
		return how, errors.New(careless(fmt.Sprintf("the %s was told to fail", call)))
	case "refuse":
		return how, sdk.At("trouble", fmt.Errorf("the %s was told to refuse it", call))
	case "crash":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "hang":
		<-ctx.Done()
		return how, context.Cause(ctx)
	}
	return how, nil
}

func dummyMark() sdk.FaultType {
	return sdk.Fault[dummyMarkConfig, dummyUndo]{
		Type: "dummy_mark", Doc: words("Marks a file."), Accepts: []schema.Accept{{Interface: "file"}},
		Hold: sdk.HoldJournal, Reversibility: sdk.Reversible, RevertTime: time.Second,
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, c dummyMarkConfig) (sdk.Prepared[dummyUndo], error) {
			if _, err := trouble(ctx, c.Trouble, "prepare"); err != nil {
				return sdk.Prepared[dummyUndo]{}, err
			}
			if c.Trouble != "" { // whoever reverts may work in another folder
				dir, err := filepath.Abs(c.Trouble)
				if err != nil {
					return sdk.Prepared[dummyUndo]{}, err
				}
				c.Trouble = dir
			}
			info, err := os.Stat(t.ID)
			if errors.Is(err, fs.ErrNotExist) {
				return sdk.Prepared[dummyUndo]{}, fmt.Errorf("%w: %s", sdk.ErrGone, t.Name)
			}
			if err != nil {
				return sdk.Prepared[dummyUndo]{}, err
			}
			return sdk.Prepared[dummyUndo]{
				Undo:        dummyUndo{Path: t.ID, Trouble: c.Trouble},
				Incarnation: words(fmt.Sprintf("inode %d", info.Sys().(*syscall.Stat_t).Ino)),
				Resources:   []string{words("file:" + t.ID)},
			}, nil
		},
		Inject: func(ctx context.Context, c dummyMarkConfig, u dummyUndo) error {
			if _, err := os.Stat(u.Path); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: %s", sdk.ErrGone, filepath.Base(u.Path))
			}
			if err := os.WriteFile(u.mark(), nil, 0o600); err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, words("marked"))
			_, err := trouble(ctx, c.Trouble, "inject") // half-way, as it were
			return err
		},
		Observe: func(ctx context.Context, c dummyMarkConfig, u dummyUndo) (sdk.Effect, error) {
			how, err := trouble(ctx, c.Trouble, "observe")
			if err != nil {
				return sdk.Effect{}, err
			}
			_, err = os.Stat(u.mark())
			return sdk.Effect{Bites: err == nil && how != "blind", Detail: careless("the mark is there")}, nil
		},
		Revert: func(ctx context.Context, u dummyUndo) (sdk.Reverted, error) {
			if _, err := trouble(ctx, u.Trouble, "revert"); err != nil {
				return sdk.Reverted{}, err
			}
			err := os.Remove(u.mark())
			if errors.Is(err, fs.ErrNotExist) {
				return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: words("there is no mark")}, nil
			}
			if err != nil {
				return sdk.Reverted{}, err
			}
			return sdk.Reverted{Outcome: sdk.PutBack, Proof: words("the mark is gone")}, nil
		},
		Scan: func(ctx context.Context, known []sdk.Known[dummyUndo]) ([]sdk.Residue, error) {
			var out []sdk.Residue
			if _, err := os.Stat("residue"); err == nil {
				out = append(out, sdk.Residue{Target: words("residue"), Kind: sdk.ResidueMarked, Detail: words("the file residue is there")})
			}
			for _, k := range known {
				if _, err := os.Stat(k.Undo.mark()); err == nil {
					out = append(out, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches, Detail: words("the mark is there")})
				}
			}
			return out, nil
		},
	}
}

type dummyHealthConfig struct {
	File  string `hcl:"file" doc:"The file whose text says how things are: good, slow (good, and late), bad or missing. Without the file they are good."`
	Mark  string `hcl:"mark,optional" doc:"Things are bad while this file exists."`
	Token string `hcl:"token,optional" doc:"What a careless plugin quotes in everything that it says."`
}

// dummySlow is how late a slow answer is: below the interval of the probes here.
const dummySlow = 150 * time.Millisecond

// dummyHealth measures what a file says.
func dummyHealth() sdk.ProbeType {
	return sdk.Probe[dummyHealthConfig]{
		Type: "dummy_health", Doc: words("Reads how things are."),
		Open: func(_ context.Context, c dummyHealthConfig) (func(context.Context) sdk.Sample, func(), error) {
			if c.Token != "" {
				token.Store(&c.Token)
			}
			return func(ctx context.Context) sdk.Sample {
				if c.Mark != "" {
					if _, err := os.Stat(c.Mark); err == nil {
						return sdk.Bad(careless("marked"))
					}
				}
				raw, err := os.ReadFile(c.File)
				switch text := strings.TrimSpace(string(raw)); {
				case errors.Is(err, fs.ErrNotExist), err == nil && text == "good":
					return sdk.Good()
				case err == nil && text == "slow":
					select {
					case <-time.After(dummySlow):
					case <-ctx.Done():
					}
					return sdk.Good()
				case err == nil && text == "bad":
					return sdk.Bad(careless("bad"))
				default:
					return sdk.Missing(words("nobody knows"))
				}
			}, nil, nil
		},
	}
}
