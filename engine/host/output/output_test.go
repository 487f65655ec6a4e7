package output

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// printed collects what a Log passes on.
func printed(print func(*Log, *Lines)) (*Log, []string) {
	var got []string
	l := New(func(line string) { got = append(got, line) })
	w := &Lines{Take: l.Line}
	print(l, w)
	w.Flush()
	l.End()
	return l, got
}

func TestLinesAreCut(t *testing.T) {
	_, got := printed(func(_ *Log, w *Lines) {
		for _, part := range []string{"a", "b\nc\n", "", strings.Repeat("x", longestLine), "y\nnext", " one"} {
			fmt.Fprint(w, part)
		}
	})
	want := []string{"ab", "c", strings.Repeat("x", longestLine), "next one"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, got := printed(func(l *Log, w *Lines) {
			for i := range 13_345 {
				fmt.Fprintf(w, "line %d\n", i)
			}
			time.Sleep(time.Second)
			fmt.Fprintln(w, "calm again")
		})
		if len(got) != burstLines+2 || got[burstLines] != "… 12,345 lines left out" || got[burstLines+1] != "calm again" {
			t.Errorf("%d lines passed, the last are %q", len(got), got[max(0, len(got)-3):])
		}
		if w := l.Words().Lines; len(w) != tailLines || w[tailLines-2] != "line 13344" || w[tailLines-1] != "calm again" {
			t.Errorf("the last words are %q", w)
		}
	})
}

// A plugin that prints a little less than too much is never thinned out, and one that
// prints for hours gets what the rate says.
func TestTheRate(t *testing.T) {
	for _, c := range []struct {
		perSecond  int
		least, top int
	}{{lineRate, 3600 * lineRate, 3600 * lineRate}, {50 * lineRate, 3000 * lineRate, 3700 * lineRate}} {
		synctest.Test(t, func(t *testing.T) {
			passed := 0
			l := New(func(line string) {
				if !strings.HasPrefix(line, "…") {
					passed++
				}
			})
			for range 3600 {
				for range c.perSecond {
					l.Line([]byte("tick"))
				}
				time.Sleep(time.Second)
			}
			if passed < c.least || passed > c.top {
				t.Errorf("%d lines a second: %d of an hour's lines passed, want %d to %d", c.perSecond, passed, c.least, c.top)
			}
		})
	}
}

// endless gives so many bytes of lines.
type endless struct{ left int }

func (e *endless) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(b), e.left)
	const line = "0123456789abcdef and so on without an end \x1b[2J\n"
	for i := range b[:n] {
		b[i] = line[i%len(line)]
	}
	e.left -= n
	return n, nil
}

func TestAFloodTakesNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	kept := 0
	l := New(func(line string) { kept += len(line) })
	runtime.GC()
	runtime.ReadMemStats(&before)
	l.Read(&endless{64 << 20}, &Lines{Take: l.Line})
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("64 MiB of lines took %d bytes of memory", got)
	}
	if kept > burstBytes+1<<20 {
		t.Errorf("%d bytes were passed on", kept)
	}
}

const aPanic = `level=INFO msg="about to fail"
panic: no bulb
	in the lamp

goroutine 34 [running]:
github.com/faultline-go/faultline/sdk.must(...)
	/src/faultline/sdk/types.go:77
slices.SortFunc[...](...)
	/usr/lib/go/src/slices/sort.go:29
example.com/acme/lamp/internal/house.(*Floor).Dark(0xc000012345, {0x1, 0x2})
	/src/lamp/internal/house/floor.go:41 +0x1d
main.inject({0x9a8b, 0xc0001}, {{0xc0002, 0x5}})
	/src/lamp/fault.go:12 +0x99
google.golang.org/grpc.(*Server).serve(0xc00)
	/go/pkg/mod/google.golang.org/grpc@v1.75.0/server.go:999 +0x4
created by main.main in goroutine 1
	/src/lamp/main.go:9 +0x11

goroutine 1 [select]:
main.main()
	/src/lamp/main.go:20 +0x7
`

func TestACrash(t *testing.T) {
	l, _ := printed(func(_ *Log, w *Lines) {
		for i := range 30 {
			fmt.Fprintf(w, "before %d\n", i)
		}
		fmt.Fprint(w, aPanic)
		for range 3000 { // other goroutines
			fmt.Fprint(w, "\ngoroutine 99 [select]:\nmain.wait()\n\t/src/lamp/wait.go:3 +0x7\n")
		}
	})
	const want = `: panic: no bulb,
  at example.com/acme/lamp/internal/house.(*Floor).Dark (/src/lamp/internal/house/floor.go:41),
  at main.inject (/src/lamp/fault.go:12),
  at main.main (/src/lamp/main.go:9);
before that it printed:
  before 26
  before 27
  before 28
  before 29
  level=INFO msg="about to fail"`
	if got := l.Words().String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := l.Words().Cause(); !strings.HasPrefix(got, "panic: no bulb, at example.com/acme/lamp/internal/house.(*Floor).Dark (") {
		t.Errorf("cause: %s", got)
	}
}

// The word alone is no crash.
func TestNoCrash(t *testing.T) {
	l, _ := printed(func(_ *Log, w *Lines) {
		fmt.Fprint(w, "panic: buying has begun\nall is well\n")
		fmt.Fprint(w, strings.Repeat("more\n", 50)+"the end\n")
	})
	if w := l.Words(); w.Crash != nil || w.Cause() != "the end" || !strings.HasPrefix(w.String(), "; its last words:\n") {
		t.Errorf("last words %+v", w)
	}
	if w := New(func(string) {}).Words(); w.String() != "" || w.Cause() != "" {
		t.Errorf("of nothing said: %q", w.String())
	}
}
