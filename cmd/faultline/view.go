package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
)

// view shows a run while it goes on: plain lines for what happens and, on a
// terminal, a status below them that is drawn anew.
type view struct {
	out   io.Writer
	live  bool
	width func() int

	mu     sync.Mutex
	folder *judge.Folder
	names  map[string]string                   // of targets, by identity
	counts map[string]*judge.ObjectiveProgress // of the phase, ahead of the journal
	lines  int                                 // of the status on the screen
	stop   chan struct{}
	closed sync.Once
}

// redraw is how often the status is drawn.
const redraw = 200 * time.Millisecond

func (g *global) newView(p *plan.Plan, id string) *view {
	v := &view{
		out: g.process.stdout, live: g.process.stdoutTTY && g.process.getenv("TERM") != "dumb", width: g.process.width,
		folder: judge.NewFolder(), names: map[string]string{}, stop: make(chan struct{}),
	}
	v.printf("Run %s, seed %d, about %s", id, p.Seed, p.Longest.Round(time.Second))
	if v.live {
		go v.draw()
	}
	return v
}

func (v *view) draw() {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.mu.Lock()
			v.status()
			v.mu.Unlock()
		case <-v.stop:
			return
		}
	}
}

// close takes the status off the screen.
func (v *view) close() {
	v.closed.Do(func() {
		close(v.stop)
		v.mu.Lock()
		v.wipe()
		v.mu.Unlock()
	})
}

// progress counts samples as they come, ahead of the journal.
func (v *view) progress(p run.Progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	since := v.folder.Progress().Since
	for name, letters := range p.Good {
		c := v.counts[name]
		if c == nil {
			continue
		}
		for i := range len(letters) {
			switch {
			case p.Samples[i].Scheduled.Before(since):
			case letters[i] == journal.GoodMissing:
				c.Missing++
			default:
				c.N++
				if letters[i] == journal.GoodNo {
					c.Bad++
				}
			}
		}
	}
}

// event shows what happened.
func (v *view) event(e journal.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.folder.Add(e)
	if _, ok := e.Data.(*journal.PhaseStarted); ok {
		v.counts = map[string]*judge.ObjectiveProgress{}
		for _, o := range v.folder.Progress().Objectives {
			v.counts[o.Objective] = &o
		}
	}
	if intent, ok := e.Data.(*journal.FaultIntent); ok {
		for _, t := range intent.Targets {
			v.names[t.ID] = t.Name
		}
	}
	if text := v.words(e); text != "" {
		v.printf("%s  %s", e.Time.Local().Format("15:04:05.000"), text)
	}
}

// printf writes a line above the status.
func (v *view) printf(format string, args ...any) {
	v.wipe()
	fmt.Fprintf(v.out, format+"\n", args...)
	v.status()
}

// wipe takes the status off the screen.
func (v *view) wipe() {
	if v.live && v.lines > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J", v.lines)
		v.lines = 0
	}
}

// status draws where the run is: the phase with its elapsed time, each objective's
// good share, the active faults.
func (v *view) status() {
	if !v.live {
		return
	}
	v.wipe()
	p := v.folder.Progress()
	if p.Phase == "" {
		return
	}
	elapsed := time.Since(p.Since).Truncate(100 * time.Millisecond)
	lines := []string{fmt.Sprintf("%s: %s %s of %s", p.Experiment, p.Phase, elapsed, p.Planned)}
	for _, o := range p.Objectives {
		c := v.counts[o.Objective]
		if c == nil {
			continue
		}
		line := fmt.Sprintf("  %-28s no samples yet", o.Objective)
		if c.N > 0 {
			line = fmt.Sprintf("  %-28s %7.3f %% good of %d, target %g %%", o.Objective, 100*float64(c.N-c.Bad)/float64(c.N), c.N, 100*o.Target)
		}
		lines = append(lines, line)
	}
	for _, f := range p.Faults {
		lines = append(lines, fmt.Sprintf("  on: %s on %s, %s", f.Name, strings.Join(f.Targets, ", "), time.Since(f.Since).Truncate(100*time.Millisecond)))
	}
	width := v.width()
	for _, l := range lines {
		if r := []rune(l); width > 0 && len(r) >= width {
			l = string(r[:width-1])
		}
		fmt.Fprintln(v.out, l)
	}
	v.lines = len(lines)
}

// words says an event in one line; empty for those that need none.
func (v *view) words(e journal.Event) string {
	switch d := e.Data.(type) {
	case *journal.ExperimentStarted:
		return "experiment " + d.Experiment
	case *journal.PhaseStarted:
		return "  " + string(d.Phase)
	case *journal.ExperimentEnded:
		text := fmt.Sprintf("experiment %s: %s", d.Experiment, strings.ReplaceAll(string(d.Ending), "_", " "))
		if d.Reason != "" {
			text += ": " + d.Reason
		}
		return text
	case *journal.FaultIntent:
		var names []string
		for _, t := range d.Targets {
			names = append(names, t.Name)
		}
		return fmt.Sprintf("  inject %s on %s", d.Fault, strings.Join(names, ", "))
	case *journal.FaultObserved:
		var parts []string
		for _, x := range d.Effects {
			parts = append(parts, v.names[x.Target]+": "+x.Detail)
		}
		return "    seen: " + strings.Join(parts, "; ")
	case *journal.FaultFailed:
		return "    failed: " + d.Error
	case *journal.FaultAmbiguous:
		return "    no answer: " + d.Error
	case *journal.FaultReverted:
		var parts []string
		for _, x := range d.Targets {
			part := fmt.Sprintf("%s %s by %s", v.names[x.ID], strings.ReplaceAll(string(x.Outcome), "_", " "), x.By)
			if x.Error != "" {
				part += ": " + x.Error
			}
			parts = append(parts, part)
		}
		return "  put back: " + strings.Join(parts, "; ")
	case *journal.ActionDone:
		if d.Error != "" {
			return fmt.Sprintf("  action %s failed: %s", d.Action, d.Error)
		}
		return "  action " + d.Action + ": " + d.Detail
	case *journal.EarlyStop:
		return fmt.Sprintf("  stop early: %s is broken: %s", d.Objective, d.Rule)
	case *journal.GuardTripped:
		return fmt.Sprintf("  guard %s tripped: %s", d.Guard, d.Reason)
	case *journal.Aborted:
		return "abort: " + d.Reason
	case *journal.Warning:
		return "warning: " + d.Text
	case *journal.Residue:
		if len(d.Findings) > 0 {
			return fmt.Sprintf("residue: %d things of ours are still there", len(d.Findings))
		}
		return ""
	default:
		return ""
	}
}
