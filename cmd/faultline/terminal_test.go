package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"
)

// workFolder is a folder like a script's, for tests in Go.
func workFolder(t *testing.T) string {
	t.Helper()
	work, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := layOut(work); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := leftBehind(work); len(left) > 0 {
			t.Errorf("left behind: %s", strings.Join(left, "\n"))
		}
	})
	return work
}

// faultlineIn is a faultline that works in a folder.
func faultlineIn(work string, args ...string) *exec.Cmd {
	c := exec.Command("faultline", args...)
	c.Dir = work
	c.Env = append(append(os.Environ(), environment(work)...), "PWD="+work, "TERM=xterm")
	return c
}

// terminal is a faultline on a terminal, and what it has written.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File // our end
	read chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

func onTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, cmd: cmd, tty: tty, read: make(chan struct{})}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		tty.Close()
	})
	go func() {
		defer close(x.read)
		b := make([]byte, 4096)
		for {
			n, err := tty.Read(b) // EIO when nobody has the other end open
			x.mu.Lock()
			x.out.Write(b[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return x
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.String()
}

// expect waits until the terminal has shown something.
func (x *terminal) expect(what string) {
	x.t.Helper()
	if !eventually(func() bool { return strings.Contains(x.text(), what) }) {
		x.t.Fatalf("the terminal never showed %q:\n%s", what, x.text())
	}
}

func (x *terminal) send(text string) {
	x.t.Helper()
	if _, err := x.tty.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// end waits for the end of the command, and returns its code.
func (x *terminal) end() int {
	x.t.Helper()
	<-x.read
	return code(x.t, x.cmd.Wait())
}

func code(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}

var control = regexp.MustCompile(`\x1b\[([\d;]*)([A-Za-z])`)

// screen is what a terminal shows in the end, without colours. It knows what
// faultline uses, and no more.
func screen(t *testing.T, raw string) []string {
	t.Helper()
	lines := []string{""}
	at := 0
	for raw != "" {
		if m := control.FindStringSubmatchIndex(raw); m != nil && m[0] == 0 {
			n, _ := strconv.Atoi(raw[m[2]:m[3]])
			switch raw[m[4]:m[5]] {
			case "A": // up
				at -= n
			case "J": // erase below
				lines = append(lines[:at:at], "")
			case "m": // colour
			default:
				t.Errorf("unknown control %q", raw[:m[1]])
			}
			raw = raw[m[1]:]
			continue
		}
		switch raw[0] {
		case '\r':
		case '\n':
			if at++; at == len(lines) {
				lines = append(lines, "")
			}
		case 0x1b:
			t.Errorf("unknown control %q", raw[:min(len(raw), 8)])
		default:
			lines[at] += raw[:1]
		}
		raw = raw[1:]
	}
	return lines
}

func runs(t *testing.T, work string) []string {
	t.Helper()
	journals, err := filepath.Glob(filepath.Join(work, "state", "runs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return journals
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestTerminalAsksFirst(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"no\n", "\n", "y\n", "\x04"} { // Ctrl-D, too
		work := workFolder(t)
		x := onTerminal(t, faultlineIn(work, "run", "day"))
		x.expect(`Only "yes" is taken for yes: `)
		if text := x.text(); !strings.Contains(text, "Somebody marks a file") || !strings.Contains(text, "pear (1 of 3)") {
			t.Errorf("the plan was not shown:\n%s", text)
		}
		x.send(answer)
		if got := x.end(); got != exitRefused {
			t.Errorf("after %q the code is %d", answer, got)
		}
		if !strings.Contains(x.text(), "not approved, nothing was touched") {
			t.Errorf("after %q:\n%s", answer, x.text())
		}
		if left := runs(t, work); len(left) > 0 || exists(filepath.Join(work, "things", "pear.marked")) {
			t.Errorf("after %q: runs %q", answer, left)
		}
	}
}

func TestTerminalShowsARunWhileItGoesOn(t *testing.T) {
	t.Parallel()
	work := workFolder(t)
	x := onTerminal(t, faultlineIn(work, "run", "day", "-var", "duration=3s"))
	x.expect("Only \"yes\"")
	x.send("yes\n")
	x.expect("mark: baseline ")
	x.expect("mark: during ")
	x.expect("on: dummy_mark.one on pear")
	x.expect("% good of")
	if got := x.end(); got != 0 {
		t.Errorf("the code is %d", got)
	}
	raw := x.text()
	if !strings.Contains(raw, "\x1b[") || !regexp.MustCompile(`\x1b\[[0-9;]*m`).MatchString(raw) {
		t.Error("no colour on a terminal")
	}
	final := strings.Join(screen(t, raw), "\n")
	for _, gone := range []string{"mark: baseline ", "mark: during ", "% good of", "on: dummy_mark.one"} {
		if strings.Contains(final, gone) {
			t.Errorf("the status %q stays on the screen:\n%s", gone, final)
		}
	}
	for _, stays := range []string{"inject dummy_mark.one on pear", "put back: pear reverted by engine", "HELD – Somebody marks a file", "HELD – mark"} {
		if strings.Count(final, stays) != 1 {
			t.Errorf("%q is %d times on the screen:\n%s", stays, strings.Count(final, stays), final)
		}
	}
}

func TestTerminalWithoutColour(t *testing.T) {
	t.Parallel()
	work := workFolder(t)
	if err := os.CopyFS(filepath.Join(work, "state", "runs"), os.DirFS("testdata/runs")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		env  string
		args []string
		want bool
	}{
		{"A=b", []string{"report"}, true},
		{"NO_COLOR=1", []string{"report"}, false},
		{"TERM=dumb", []string{"report"}, false},
		{"A=b", []string{"report", "-no-color"}, false},
		{"A=b", []string{"validate", "nowhere"}, true},
		{"NO_COLOR=1", []string{"validate", "nowhere"}, false},
	} {
		cmd := faultlineIn(work, test.args...)
		cmd.Env = append(cmd.Env, test.env)
		x := onTerminal(t, cmd)
		x.end()
		if got := strings.Contains(x.text(), "\x1b["); got != test.want {
			t.Errorf("%s %v: colour %t:\n%q", test.env, test.args, got, x.text())
		}
	}
}

// A terminal that was stopped with Ctrl-S, or a pager that does not read on, must not
// keep a fault on.
func TestTerminalThatIsNotReadHoldsNothingUp(t *testing.T) {
	t.Parallel()
	work := workFolder(t)
	cmd := faultlineIn(work, "run", "day", "-auto-approve", "-var", "duration=3s")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	fill := make([]byte, 1)
	if _, err := tty.Read(fill); err != nil { // it runs; nothing is read from now on
		t.Fatal(err)
	}
	ended := func() bool {
		for _, dir := range runs(t, work) {
			raw, err := os.ReadFile(filepath.Join(dir, "journal.jsonl"))
			if err == nil && bytes.Contains(raw, []byte(`"type":"run.ended"`)) {
				return true
			}
		}
		return false
	}
	if !eventually(ended) {
		t.Error("the run does not end")
	}
	if exists(filepath.Join(work, "things", "pear.marked")) {
		t.Error("the mark is still there")
	}
	tty.Close() // it is read no more: SIGHUP, as when a window is closed
	_ = cmd.Wait()
}

// Whoever reads a run's output may go away: the run goes on to its end, and its code
// is the verdict's.
func TestAReaderThatGoesAway(t *testing.T) {
	t.Parallel()
	work := workFolder(t)
	cmd := faultlineIn(work, "run", "day")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if got := code(t, cmd.Wait()); got != 0 {
		t.Errorf("the code is %d: %s", got, stderr.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("it complains: %s", stderr.String())
	}
	if exists(filepath.Join(work, "things", "pear.marked")) {
		t.Error("the mark is still there")
	}
}
