package host

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
)

const (
	longestLine = 4 << 10 // of what a plugin prints; the rest of a longer one is dropped
	tailLines   = 20      // kept for error messages
)

// printed is what a plugin has printed: it passes lines on and keeps the last ones.
// go-plugin is not given a plugin's standard error: it would parse the lines as log
// records, and a malformed one crashes the engine.
type printed struct {
	pass func(line string)

	mu   sync.Mutex
	last []string
}

func (p *printed) line(raw []byte) {
	s := strings.TrimRight(strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1 // no terminal sequences
	}, strings.ToValidUTF8(string(raw), "?")), " \t")
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.last) == tailLines {
		p.last = append(p.last[:0], p.last[1:]...)
	}
	p.last = append(p.last, s)
	p.pass(s)
}

// tail returns the last lines.
func (p *printed) tail() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.last...)
}

// lineWriter cuts what is written to it into lines, in bounded memory. One goroutine
// uses it.
type lineWriter struct {
	take func(line []byte)
	buf  []byte
	skip bool // the rest of a line that was too long
}

func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		part, rest, ended := bytes.Cut(b, []byte("\n"))
		if !w.skip {
			room := longestLine - len(w.buf)
			w.buf = append(w.buf, part[:min(room, len(part))]...)
			if len(part) > room {
				w.flush()
				w.skip = true
			}
		}
		if ended {
			if !w.skip {
				w.take(w.buf)
				w.buf = w.buf[:0]
			}
			w.skip = false
		}
		b = rest
	}
	return n, nil
}

// flush ends a last line that has no newline.
func (w *lineWriter) flush() {
	if len(w.buf) > 0 {
		w.take(w.buf)
		w.buf = w.buf[:0]
	}
}
