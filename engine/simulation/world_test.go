package simulation

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is what one seed makes.
type world struct {
	t       *testing.T
	fate    fate
	dir     string // of this world: the state folder, and the paths to it
	start   time.Time
	working sync.WaitGroup

	mu        sync.Mutex
	lamps     map[string]*lamp
	faults    map[string]*faultFacts // by run and id
	journals  map[string]*stored     // by run
	processes []*process
	lives     []*life
	guardians map[string]*life // by run
	aliases   int
	drawn     map[string]int // how often each kind of trouble was drawn
	happened  map[string]int
	story     []told
	wrong     []string
	healed    bool // nothing goes wrong any more
	over      bool // everybody may end

	engineDiedAt time.Time
	promise      time.Duration // within which a revert starts then; 0: whatever the lease allows
}

// lamp is a target. A lamp in whose place another one was put has another serial.
type lamp struct {
	serial  int
	gone    bool
	effects map[string]*effect // by fault type
}

// effect is what a fault did to a lamp.
type effect struct {
	run, fault string
	half       bool
	foreign    bool // somebody else did it again, and it is not ours any more
}

// faultFacts is what is known of one fault of one run.
type faultFacts struct {
	run, id, typ string
	lease        time.Duration
	duration     time.Duration
	targets      []string
	asked        time.Time // when the engine asked for it
	on           time.Time // when it first had an effect
	revertAsked  time.Time // when somebody first asked a plugin to put it back
	reverting    time.Time // when a plugin first began to
	ended        time.Time // when nothing of it was left, for the last time
}

type told struct {
	at     time.Duration
	format string
	args   []any
}

var lampNames = []string{"a", "b", "c", "d"}

func newWorld(t *testing.T, dir string, f fate) *world {
	w := &world{
		t: t, fate: f, dir: dir, start: time.Now(), lamps: map[string]*lamp{}, faults: map[string]*faultFacts{},
		journals: map[string]*stored{}, guardians: map[string]*life{}, drawn: map[string]int{}, happened: map[string]int{},
	}
	for _, name := range lampNames {
		w.lamps[name] = &lamp{serial: 1, effects: map[string]*effect{}}
	}
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) now() time.Duration { return time.Since(w.start) }

// say adds a line to the story, which is told when something was wrong.
func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, told{w.now(), format, args})
}

func (w *world) tell() string {
	var b strings.Builder
	for _, s := range w.story {
		fmt.Fprintf(&b, "%9.3f  %s\n", s.at.Seconds(), fmt.Sprintf(s.format, s.args...))
	}
	return b.String()
}

// violates notes that an invariant does not hold.
func (w *world) violates(format string, args ...any) {
	w.say("WRONG: "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// happens notes that a trouble came true, and not only was meant to.
func (w *world) happens(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.happened[what]++
}

// strikes says whether something goes wrong now, and notes it if so.
func (w *world) strikes(what trouble, p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.fate.has(what) || w.healed || w.over {
		return false
	}
	n := w.drawn[string(what)]
	w.drawn[string(what)]++
	if !w.fate.strikes(string(what), n, p) {
		return false
	}
	w.happened[string(what)]++
	return true
}

// within is a time below d for the nth event of a kind.
func (w *world) within(kind string, d time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.drawn[kind]
	w.drawn[kind]++
	return time.Duration(w.fate.draw(kind, n) * float64(d))
}

// since says whether a trouble that lasts has begun.
func (w *world) since(what trouble, at time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fate.has(what) && !w.healed && w.now() >= at
}

func (w *world) diskIsFull() bool { return w.since(diskFills, w.fate.diskFills) }
func (w *world) syncIsLost() bool { return w.since(syncFails, w.fate.syncFails) }

func (w *world) storedOf(run string) *stored {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.journals[run]
	if s == nil {
		s = &stored{}
		w.journals[run] = s
	}
	return s
}

// after has something done at a time after the world's beginning.
func (w *world) after(d time.Duration, f func()) {
	w.working.Go(func() {
		t := time.NewTimer(d - w.now())
		defer t.Stop()
		<-t.C
		f()
	})
}

func (w *world) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over
}

// asked notes that an engine asks for a fault.
func (w *world) asked(f *faultFacts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.asked = time.Now()
	w.faults[f.run+"/"+f.id] = f
}

// latest is the last fault of a type that a run asked for on a lamp; nil: none.
func (w *world) latest(run, typ, lamp string) *faultFacts {
	var found *faultFacts
	for _, f := range w.faults {
		if f.run == run && f.typ == typ && slices.Contains(f.targets, lamp) && (found == nil || f.id > found.id) {
			found = f
		}
	}
	return found
}

// takesEffect breaks a lamp, as far as it is still the one that was meant.
func (w *world) takesEffect(f *faultFacts, u undo, half bool) {
	w.say("    %s of %s acts on %s (half: %t)", f.id, f.run, u.Lamp, half)
	w.mu.Lock()
	l := w.lamps[u.Lamp]
	if l.gone || l.serial != u.Serial {
		w.mu.Unlock()
		return
	}
	before := l.effects[f.typ]
	l.effects[f.typ] = &effect{run: f.run, fault: f.id, half: half}
	if f.on.IsZero() {
		f.on = time.Now()
	}
	w.mu.Unlock()
	if before != nil && !before.foreign && before.run != f.run {
		w.violates("%s of run %s acts on lamp %s, on which %s of run %s acts still", f.id, f.run, u.Lamp, before.fault, before.run)
	}
}

// with works on a lamp.
func (w *world) with(name string, f func(*lamp)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.lamps[name])
	for _, x := range w.faults {
		if !x.on.IsZero() && !w.actsLocked(x) && x.ended.IsZero() {
			x.ended = time.Now()
		}
	}
}

func (w *world) actsLocked(f *faultFacts) bool {
	for _, l := range w.lamps {
		if e := l.effects[f.typ]; e != nil && e.run == f.run && e.fault == f.id && !e.foreign {
			return true
		}
	}
	return false
}

// broken lists the effects that are ours, as "run/fault on lamp".
func (w *world) broken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for name, l := range w.lamps {
		for _, e := range l.effects {
			if !e.foreign {
				out = append(out, fmt.Sprintf("%s/%s on %s", e.run, e.fault, name))
			}
		}
	}
	slices.Sort(out)
	return out
}

// heals ends all trouble but what is for ever.
func (w *world) heals() {
	w.mu.Lock()
	w.healed = true
	all := slices.Clone(w.processes)
	w.mu.Unlock()
	w.say("all trouble ends")
	for _, p := range all {
		p.goesOn()
	}
}
