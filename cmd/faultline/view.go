package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
)

// view shows a run while it goes on: plain lines for what happens and, on a
// terminal, a status below them that is drawn anew.
//
// The run hands over what there is to show and never waits until it is shown: behind
// a terminal that was stopped with Ctrl-S, or a reader that does not read, faults end
// in time all the same.
type view struct {
	out   io.Writer
	live  bool
	width func() int

	mu      sync.Mutex
	folder  *judge.Folder
	names   map[string]string                   // of targets, by identity
	counts  map[string]*judge.ObjectiveProgress // of the phase, ahead of the journal
	asking  bool                                // a prompt waits
	pending []byte                              // lines that are not written yet

	more   chan struct{} // there is something pending
	stop   chan struct{}
	drawn  chan struct{} // closed when nothing is written any more
	closed sync.Once
}

const (
	redraw     = 200 * time.Millisecond // how often the status is drawn
	mostStatus = 16                     // lines of it: it must fit on the screen
	lastWrite  = 2 * time.Second        // how long the end of a run waits for the screen
)

func (g *global) newView(p *plan.Plan, id string) *view {
	v := &view{
		out: g.process.stdout, live: g.process.stdoutTTY && g.process.getenv("TERM") != "dumb", width: g.process.width,
		folder: judge.NewFolder(), names: map[string]string{},
		more: make(chan struct{}, 1), stop: make(chan struct{}), drawn: make(chan struct{}),
	}
	v.printf("Run %s, seed %d, about %s", id, p.Seed, p.Longest.Round(time.Second))
	go v.draw()
	return v
}

// draw is the only one that writes; what it cannot write is lost, the journal has it.
func (v *view) draw() {
	defer close(v.drawn)
	var tick <-chan time.Time
	if v.live {
		ticker := time.NewTicker(redraw)
		defer ticker.Stop()
		tick = ticker.C
	}
	for lines, last := 0, false; !last; {
		select {
		case <-tick:
		case <-v.more:
		case <-v.stop:
			last = true
		}
		var frame bytes.Buffer
		if lines > 0 { // take the old status off
			fmt.Fprintf(&frame, "\x1b[%dA\x1b[J", lines)
			lines = 0
		}
		v.mu.Lock()
		frame.Write(v.pending)
		v.pending = nil
		if v.live && !last && !v.asking { // what is typed must stay readable
			for _, l := range v.status() {
				frame.WriteString(l + "\n")
				lines++
			}
		}
		v.mu.Unlock()
		_, _ = v.out.Write(frame.Bytes())
	}
}

// close writes what is pending and takes the status off the screen.
func (v *view) close() {
	v.closed.Do(func() { close(v.stop) })
	select {
	case <-v.drawn:
	case <-time.After(lastWrite):
	}
}

// printf adds a line. The caller holds the lock, or is the only one yet.
func (v *view) printf(format string, args ...any) {
	v.pending = append(v.pending, printable(fmt.Sprintf(format, args...))+"\n"...)
	select {
	case v.more <- struct{}{}:
	default: // it is known
	}
}

// printable replaces what would move the cursor or worse: names and details come
// from plugins, and from what they look at.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
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

// status says where the run is: the phase with its elapsed time, each objective's
// good share, the active faults.
func (v *view) status() []string {
	p := v.folder.Progress()
	if p.Phase == "" {
		return nil
	}
	elapsed := time.Since(p.Since).Truncate(100 * time.Millisecond)
	lines := []string{fmt.Sprintf("%s: %s %s", p.Experiment, p.Phase, elapsed)}
	if p.Planned > 0 {
		lines[0] += fmt.Sprintf(" of %s", p.Planned)
	}
	for _, f := range p.Faults {
		lines = append(lines, fmt.Sprintf("  on: %s on %s, %s", f.Name, strings.Join(f.Targets, ", "), time.Since(f.Since).Truncate(100*time.Millisecond)))
	}
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
	if more := len(lines) - mostStatus; more > 0 {
		lines = append(lines[:mostStatus-1], fmt.Sprintf("  … and %d more", more+1))
	}
	width := v.width()
	for i, l := range lines {
		if r := []rune(printable(l)); width > 0 && len(r) >= width {
			lines[i] = string(r[:width-1])
		} else {
			lines[i] = string(r)
		}
	}
	return lines
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
			parts = append(parts, v.names[x.Target]+" "+effect(x))
		}
		return "    " + strings.Join(parts, "; ")
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
	case *journal.PromptAsked:
		v.asking = true
		return fmt.Sprintf("  prompt %s: %s", d.Prompt, d.Question)
	case *journal.PromptAnswered:
		v.asking = false
		if d.Answer == "" {
			return fmt.Sprintf("  prompt %s: no answer, %s", d.Prompt, d.By)
		}
		return fmt.Sprintf("  prompt %s: %s (%s)", d.Prompt, d.Answer, d.By)
	case *journal.Mark:
		text := "  " + d.What
		if d.Text != "" {
			text += ": " + d.Text
		}
		return text + " (" + d.By + ")"
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

// effect says what was seen of a fault at a target.
func effect(x journal.Effect) string {
	var text string
	switch {
	case x.Error != "":
		return "cannot be measured: " + x.Error
	case x.Ended:
		text = "came back by itself"
	case x.Bites:
		text = "is hit"
	default:
		text = "is not hit"
	}
	if x.Detail != "" {
		text += ": " + x.Detail
	}
	return text
}
