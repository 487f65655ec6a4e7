package live

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
)

// Options of a view.
type Options struct {
	Plan *plan.Plan
	Out  io.Writer
	// Terminal says that Out is a terminal on which a picture can be drawn.
	Terminal bool
	Color    bool
	// Env are the variables that say what the terminal can do, as in os.Environ.
	Env []string
	// In is the keyboard; nil: there is none.
	In   io.Reader
	Keys Keys
}

// Keys are what the keys of the picture do. They are called outside of the run.
type Keys struct {
	Interrupt func()                        // Ctrl-C: stop this run
	Halt      func() error                  // h: stop every run, and let none begin
	Tell      func(what, text string) error // n, d and m: for the record
	Answer    func(line string)             // what was typed while a prompt waits
}

// View shows one run.
type View struct {
	state  *state
	screen screen
	closed sync.Once
	drawn  chan struct{} // closed when nothing is written any more
}

// screen shows a state until it is told to stop. It is the only one that writes.
type screen interface {
	// run returns when stop is called and all lines are written.
	run()
	// more says that there are lines to write; it does not block.
	more()
	// stop asks run to return; abandon makes the terminal usable when run cannot.
	stop()
	abandon()
}

// lastWrite is how long the end of a run waits for the screen.
const lastWrite = 2 * time.Second

// Start shows a run from now on.
func Start(o Options) *View {
	v := &View{state: newState(o.Plan), drawn: make(chan struct{})}
	if o.Terminal {
		v.screen = newPicture(v.state, o)
	} else {
		v.screen = newLines(v.state, o.Out)
	}
	go func() {
		defer close(v.drawn)
		v.screen.run()
	}()
	return v
}

// Say adds a line.
func (v *View) Say(format string, args ...any) {
	v.with(func(s *state) { s.say(format, args...) })
}

// Event shows what happened: a run's Watch.
func (v *View) Event(e journal.Event) { v.with(func(s *state) { s.event(e) }) }

// Progress counts samples: a run's Progress.
func (v *View) Progress(p run.Progress) {
	v.state.mu.Lock()
	defer v.state.mu.Unlock()
	v.state.progress(p)
}

// Renewed shows that leases are held: a run's Renewed.
func (v *View) Renewed(plugin string, from time.Time) {
	v.state.mu.Lock()
	defer v.state.mu.Unlock()
	v.state.renewed[plugin] = from
}

func (v *View) with(f func(*state)) {
	v.state.mu.Lock()
	f(v.state)
	v.state.mu.Unlock()
	v.screen.more()
}

// Close writes what is pending and takes the picture off the screen. What a screen that
// is not read did not take is lost; the journal has it.
func (v *View) Close() {
	v.closed.Do(v.screen.stop)
	select {
	case <-v.drawn:
	case <-time.After(lastWrite):
		v.screen.abandon()
	}
}

// takeLines takes what is not written yet: at most so many lines, 0 for all.
func (s *state) takeLines(most int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.lines)
	if most > 0 {
		n = min(n, most)
	}
	out := s.lines[:n:n]
	s.lines = s.lines[n:]
	return out
}

// lines writes lines and nothing else.
type lines struct {
	state *state
	out   io.Writer
	wake  chan struct{}
	end   chan struct{}
}

func newLines(s *state, out io.Writer) *lines {
	return &lines{state: s, out: out, wake: make(chan struct{}, 1), end: make(chan struct{})}
}

func (l *lines) run() {
	for last := false; !last; {
		select {
		case <-l.wake:
		case <-l.end:
			last = true
		}
		writeLines(l.out, l.state.takeLines(0))
	}
}

func writeLines(out io.Writer, all []string) {
	if len(all) > 0 {
		_, _ = io.WriteString(out, strings.Join(all, "\n")+"\n")
	}
}

func (l *lines) more() {
	select {
	case l.wake <- struct{}{}:
	default: // it is known
	}
}

func (l *lines) stop()    { close(l.end) }
func (l *lines) abandon() {}
