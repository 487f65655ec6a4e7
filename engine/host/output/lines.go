package output

import (
	"bytes"
	"io"
	"time"
)

// Lines cuts what is written to it into lines, in bounded memory. One goroutine uses it.
type Lines struct {
	// Take gets each line, of 4 KiB at most, without its end. It does not keep it.
	Take func(line []byte)
	buf  []byte
	skip bool // the rest of a line that was too long
}

func (w *Lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		part, rest, ended := bytes.Cut(b, []byte("\n"))
		if !w.skip {
			room := longestLine - len(w.buf)
			w.buf = append(w.buf, part[:min(room, len(part))]...)
			if len(part) > room {
				w.Flush()
				w.skip = true
			}
		}
		if ended {
			if !w.skip {
				w.Take(w.buf)
				w.buf = w.buf[:0]
			}
			w.skip = false
		}
		b = rest
	}
	return n, nil
}

// Flush ends a last line that has no newline.
func (w *Lines) Flush() {
	if len(w.buf) > 0 {
		w.Take(w.buf)
		w.buf = w.buf[:0]
	}
}

// floodPause slows a plugin down that prints too much: its writes wait, but never for
// long, because what writes may be what puts a fault back.
const floodPause = time.Millisecond

// Read hands what comes out of r to w until r ends.
func (l *Log) Read(r io.Reader, w *Lines) {
	defer w.Flush()
	buf := make([]byte, 64<<10) // what a pipe holds
	for {
		n, err := r.Read(buf)
		_, _ = w.Write(buf[:n])
		if err != nil {
			return
		}
		if n == len(buf) && l.flooded() {
			time.Sleep(floodPause)
		}
	}
}
