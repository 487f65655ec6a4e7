package output

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Escape makes a line printable: what a terminal would act on, and what is no UTF-8, is
// shown as Go writes it in a string (\x1b, \u202e). The result is bounded, too.
func Escape(raw []byte) string {
	raw = bytes.TrimRight(raw, " \t\r")
	var b strings.Builder
	for i := 0; i < len(raw) && b.Len() < longestLine; {
		r, size := utf8.DecodeRune(raw[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, raw[i])
		case r == '\t' || unicode.IsPrint(r):
			b.Write(raw[i : i+size])
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

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
