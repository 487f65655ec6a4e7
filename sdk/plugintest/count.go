package plugintest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// A plugin process that is to be counted calls the test, and counts its goroutines
// itself when it is asked: only it can, and nothing else runs in it.

// countEnv names the socket at which the test waits for that call.
const countEnv = "FAULTLINE_PLUGINTEST_COUNT"

// leaks is how many more goroutines than before are called a leak. One has to leak in
// most lives for that: pools and the like grow once.
const leaks = 4

const (
	countMark = "mark"
	countLeft = "left"
)

// counter is the test's end of that call.
type counter struct {
	net.Conn
	answers *bufio.Reader
}

// awaitCounter takes the call of a process that was started with countEnv.
func awaitCounter(t testing.TB, l net.Listener) *counter {
	t.Helper()
	if err := l.(*net.UnixListener).SetDeadline(time.Now().Add(patient(starting))); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatalf("the plugin process does not call its counter: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return &counter{conn, bufio.NewReader(conn)}
}

// mark has the process remember what runs in it now.
func (c *counter) mark(t testing.TB) { t.Helper(); c.ask(t, countMark) }

// left says what runs in the process that did not at the mark; nothing if that is
// little.
func (c *counter) left(t testing.TB) string { t.Helper(); return c.ask(t, countLeft) }

func (c *counter) ask(t testing.TB, what string) string {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(patient(starting))); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(c, what); err != nil {
		t.Fatalf("count goroutines: %v", err)
	}
	line, err := c.answers.ReadString('\n')
	if err != nil {
		t.Fatalf("count goroutines: %v", err)
	}
	text, err := strconv.Unquote(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("count goroutines: %v", err)
	}
	return text
}

// answerCounter is the process's side.
func answerCounter(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	go func() {
		defer conn.Close()
		var (
			before int
			known  goleak.Option
		)
		for asked := bufio.NewScanner(conn); asked.Scan(); {
			answer := ""
			switch asked.Text() {
			case countMark:
				before, known = calm(), goleak.IgnoreCurrent()
			case countLeft:
				if !eventually(patient(2*time.Second), func() bool { return runtime.NumGoroutine() < before+leaks }) {
					answer = fmt.Sprintf("%d goroutines: %v", runtime.NumGoroutine()-before, goleak.Find(known))
				}
			}
			if _, err := fmt.Fprintln(conn, strconv.Quote(answer)); err != nil {
				return
			}
		}
	}()
	return nil
}

// calm waits until goroutines stop ending, and counts them.
func calm() int {
	least := runtime.NumGoroutine()
	for same := 0; same < 20; same++ {
		<-time.After(10 * time.Millisecond)
		if n := runtime.NumGoroutine(); n < least {
			least, same = n, 0
		}
	}
	return least
}

// leaks remembers what is open in the process now; the function that it returns says
// what was added, or nothing if that is little: goroutines, where the process counts
// them, or else files.
func (p *process) leaks(t testing.TB) func() string {
	t.Helper()
	if p.counter != nil {
		p.counter.mark(t)
		return func() string {
			if left := p.counter.left(t); left != "" {
				return "goroutines: " + left
			}
			return ""
		}
	}
	before := p.files(t)
	return func() string {
		now := 0
		if eventually(patient(2*time.Second), func() bool { now = p.files(t); return now < before+leaks }) {
			return ""
		}
		return fmt.Sprintf("%d files open", now-before)
	}
}

// files is how many files the process has open.
func (p *process) files(t testing.TB) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("count the open files of the plugin: %v", err)
	}
	return len(open)
}
