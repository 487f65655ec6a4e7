// Package output reads what a plugin prints, within bounds: lines are cut and their
// control characters escaped, a flood is thinned out, and the last lines are kept. Of a
// Go program that crashes it keeps what says why. A plugin that prints without end costs
// neither memory nor disk, and little time. What may be shown of any text that is a
// plugin's is decided here, too.
package output

import (
	"strings"
	"sync"
	"time"
)

const (
	longestLine = 4 << 10 // of what a plugin prints; the rest of a longer one is dropped
	tailLines   = 20      // kept for error messages
)

// Log is all that one plugin prints. Its methods may be called by several goroutines.
type Log struct {
	pass func(line string)
	now  func() time.Time

	mu     sync.Mutex
	last   ring
	crash  recogniser
	budget budget
}

// New makes a Log. It calls pass with lines that are printable and of 4 KiB at most, one
// at a time; pass must return soon.
func New(pass func(line string)) *Log {
	return &Log{pass: pass, now: time.Now}
}

// Line takes one line. The caller may change it afterwards.
func (l *Log) Line(raw []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crash.line(raw, &l.last)
	l.last.add(raw)
	if l.budget.spend(l.now(), len(raw)) {
		l.tellLeftOut()
		l.pass(Escape(raw))
	}
}

// End says that nothing more comes.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellLeftOut()
}

func (l *Log) tellLeftOut() {
	if n := l.budget.takeLeftOut(); n > 0 {
		l.pass(leftOut(n))
	}
}

// flooded says whether the last line was too much.
func (l *Log) flooded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget.leftOut > 0
}

// Words returns what it printed last, however much it was.
func (l *Log) Words() Words {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := Words{Lines: l.last.lines()}
	if c := l.crash.crash(); c != nil {
		w.Crash, w.Lines = c, l.crash.before
	}
	return w
}

// Words are a plugin's last words. With a Crash, Lines are those before it.
type Words struct {
	Lines []string
	Crash *Crash
}

// String is for the end of an error message, which journals and reports show in one line;
// empty when nothing was said.
func (w Words) String() string {
	const most = 5
	var b strings.Builder
	lines := w.Lines[max(0, len(w.Lines)-most):]
	if w.Crash != nil {
		b.WriteString(": " + w.Crash.What)
		for _, f := range w.Crash.Frames {
			b.WriteString(",\n  at " + f)
		}
		if len(lines) > 0 {
			b.WriteString(";\nbefore that it printed")
		}
	} else if len(lines) > 0 {
		b.WriteString("; its last words")
	}
	if len(lines) > 0 {
		b.WriteString(":\n  " + strings.Join(lines, "\n  "))
	}
	return b.String()
}

// Cause is the one line that most likely says why the plugin has ended; empty when it
// has printed nothing.
func (w Words) Cause() string {
	switch {
	case w.Crash != nil && len(w.Crash.Frames) > 0:
		return w.Crash.What + ", at " + w.Crash.Frames[0]
	case w.Crash != nil:
		return w.Crash.What
	case len(w.Lines) > 0:
		return w.Lines[len(w.Lines)-1]
	}
	return ""
}

// ring keeps the newest lines, raw: most are never looked at.
type ring struct {
	kept [tailLines][]byte
	n    int // lines ever added
}

func (r *ring) add(raw []byte) {
	at := &r.kept[r.n%tailLines]
	*at = append((*at)[:0], raw...)
	r.n++
}

func (r *ring) lines() []string {
	var out []string
	for i := max(0, r.n-tailLines); i < r.n; i++ {
		out = append(out, Escape(r.kept[i%tailLines]))
	}
	return out
}
