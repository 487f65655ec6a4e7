package pressure

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

const (
	// settle is how long a start that nobody waits for may still take effect.
	settle = 2 * time.Second
	// revertTime is the longest that the end of one pressure process may take: a file
	// system needs time to free a large file.
	revertTime = 30 * time.Second
)

// Target is who a load is put on.
type Target struct {
	Name string
	// Process leads to the control groups and file system; nil: the machine itself, with
	// the plugin's own control groups.
	Process     *incarnation.Incarnation
	Incarnation string // as the target's kind writes it
	Resource    string // names the target among those that faults occupy: "host", "container:<id>"
}

// Undo is the undo record of every pressure fault. Nothing is left when the processes
// with the mark are gone.
type Undo struct {
	Mark   string                   `json:"mark"`
	Boot   string                   `json:"boot"`
	Name   string                   `json:"name"`
	Target *incarnation.Incarnation `json:"target,omitempty"`
	// Folder is where the pressure makes its file; empty: nowhere.
	Folder string `json:"folder,omitempty"`
}

// SameUndo says whether two undo records differ by their marks only.
func SameUndo(a, b Undo) bool {
	same := a.Target == b.Target || a.Target != nil && b.Target != nil && *a.Target == *b.Target
	a.Mark, b.Mark, a.Target, b.Target = "", "", nil, nil
	return same && a == b
}

// Kind is a type of pressure fault with the configuration C.
type Kind[C any] struct {
	Type         string
	Doc          string
	Accepts      []schema.Accept
	Requires     []string
	Capabilities []schema.Capability
	// Load is what a configuration asks for; pure.
	Load func(C) (Load, error)
	// Target finds who is meant, or returns sdk.ErrGone.
	Target func(context.Context, sdk.PrepareTarget) (Target, error)
}

// Fault makes the fault.
func (k Kind[C]) Fault() sdk.Fault[C, Undo] {
	load := func(c C) (Load, error) {
		l, err := k.Load(c)
		if err == nil {
			err = l.Validate()
		}
		return l, err
	}
	return sdk.Fault[C, Undo]{
		Type: k.Type,
		Doc: k.Doc + " The pressure comes from a process of faultline's own, which ends with the plugin or the target, whichever is first, " +
			"and is the first to go when memory runs out.",
		Accepts:       k.Accepts,
		Hold:          sdk.HoldKernel,
		Reversibility: sdk.Reversible,
		Requires:      k.Requires,
		Capabilities:  k.Capabilities,
		Settle:        settle,
		RevertTime:    revertTime,
		Check:         func(c C) error { _, err := load(c); return err },
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, c C) (out sdk.Prepared[Undo], err error) {
			l, err := load(c)
			if err != nil {
				return out, err
			}
			target, err := k.Target(ctx, t)
			if err != nil {
				return out, err
			}
			return prepare(l, target)
		},
		Inject: func(ctx context.Context, c C, u Undo) error {
			l, err := load(c)
			if err != nil {
				return err
			}
			return start(ctx, u.Mark, l, u.Target)
		},
		Observe: func(ctx context.Context, c C, u Undo) (sdk.Effect, error) {
			l, err := load(c)
			if err != nil {
				return sdk.Effect{}, err
			}
			return observe(ctx, l, u)
		},
		Revert: revert,
		Scan:   scan,
	}
}

// prepare looks whether the load can be put on, and touches nothing.
func prepare(l Load, t Target) (out sdk.Prepared[Undo], err error) {
	boot, err := incarnation.BootID()
	if err != nil {
		return out, err
	}
	u := Undo{Mark: rand.Text(), Boot: boot, Name: t.Name, Target: t.Process}
	pid := unix.Getpid()
	if t.Process != nil {
		pid = t.Process.PID
		g, err := cgroup.Here.Of(pid)
		if err != nil {
			return out, err
		}
		if err := g.Joinable(); err != nil {
			return out, err
		}
	}
	if l.Memory != nil {
		r, err := roomFor(pid)
		if err != nil {
			return out, err
		}
		if _, err := l.Memory.want(r); err != nil {
			return out, err
		}
	}
	if l.Processes != nil {
		if t.Process == nil && l.Processes.Limit == 0 {
			return out, errors.New("on the whole machine no limit is exhausted: say how many processes to start with processes")
		}
		if _, err := l.Processes.missing(pid, 0); err != nil {
			return out, err
		}
	}
	for _, folder := range l.folders() {
		u.Folder = folder
		f, err := openFolder(folder, t.Process)
		if err != nil {
			return out, err
		}
		s, err := spaceOf(f)
		f.Close()
		if err != nil {
			return out, err
		}
		if l.IO != nil && s.inMemory {
			return out, fmt.Errorf("folder %s of %s lies in memory: reading and writing there puts pressure on no disk", folder, t.Name)
		}
		if l.Disk != nil {
			if _, err := l.Disk.want(s); err != nil {
				return out, err
			}
		}
	}
	return sdk.Prepared[Undo]{Undo: u, Incarnation: t.Incarnation, Resources: l.resources(t.Resource)}, nil
}

// folders are where the load makes files. A load has one at most, today.
func (l Load) folders() []string {
	switch {
	case l.Disk != nil:
		return []string{l.Disk.Path}
	case l.IO != nil:
		return []string{l.IO.Path}
	}
	return nil
}

// resources are what the load occupies of a target.
func (l Load) resources(target string) []string {
	var out []string
	for what, is := range map[string]bool{
		"cpu": l.CPU != nil, "memory": l.Memory != nil, "processes": l.Processes != nil,
	} {
		if is {
			out = append(out, target+"/"+what)
		}
	}
	if l.Disk != nil {
		out = append(out, target+"/space:"+l.Disk.Path)
	}
	if l.IO != nil {
		out = append(out, target+"/io:"+l.IO.Path)
	}
	slices.Sort(out)
	return out
}

func revert(ctx context.Context, u Undo) (sdk.Reverted, error) {
	ctx, cancel := context.WithTimeout(ctx, revertTime)
	defer cancel()
	boot, err := incarnation.BootID()
	if err != nil {
		return sdk.Reverted{}, err
	}
	if boot != u.Boot {
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the machine was started anew"}, nil
	}
	n, err := end(ctx, u.Mark)
	if err != nil {
		return sdk.Reverted{}, err
	}
	removed, err := u.removeFile()
	switch {
	case err != nil:
		return sdk.Reverted{}, err
	case n > 0:
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: fmt.Sprintf("ended the pressure: no process has the mark %s any more", u.Mark)}, nil
	case removed:
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: "removed the empty file " + fileName(u.Mark) + " of " + u.Folder}, nil
	}
	return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "no process has the mark " + u.Mark}, nil
}

// removeFile removes the file that a process leaves that was killed between making it
// and taking its name away. It is empty then.
func (u Undo) removeFile() (bool, error) {
	if u.Folder == "" {
		return false, nil
	}
	folder, err := openFolder(u.Folder, u.Target)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false, nil // the folder is gone, or the target that led there
	}
	if err != nil {
		return false, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return false, fmt.Errorf("look for files of ours in %s: %w", u.Folder, err)
	}
	removed := false
	for _, name := range names {
		if !strings.HasPrefix(name, fileName(u.Mark)) {
			continue
		}
		if err := unix.Unlinkat(int(folder.Fd()), name, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("remove %s from %s: %w", name, u.Folder, err)
		}
		removed = true
	}
	return removed, nil
}

func scan(_ context.Context, known []sdk.Known[Undo]) ([]sdk.Residue, error) {
	var out []sdk.Residue
	for _, k := range known {
		f, err := find(k.Undo.Mark)
		if err != nil {
			return nil, err
		}
		if len(f.all) > 0 {
			out = append(out, sdk.Residue{
				Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMarked,
				Detail: fmt.Sprintf("%d processes put pressure on %s, the first is %s", len(f.all), k.Undo.Name, *f.first),
			})
		}
	}
	return out, nil
}
