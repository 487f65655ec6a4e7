package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"

	"github.com/faultline-go/faultline/engine/judge"
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

// tooLong is what no command takes, however busy the machine is. It is less than a test
// binary's own time, at whose end nobody learns which command hung, and where.
const tooLong = 3 * patience

// faultlineIn is a faultline that works in a folder.
func faultlineIn(t *testing.T, work string, args ...string) *exec.Cmd {
	return commandIn(t, work, "faultline", args...)
}

// commandIn is a program of ours that works in a folder. One that hangs says where.
func commandIn(t *testing.T, work, program string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, program, args...)
	c.Cancel = func() error {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // the test is over
			return c.Process.Kill()
		}
		t.Errorf("%s %v has not ended after %s", program, args, tooLong)
		return c.Process.Signal(syscall.SIGQUIT) // it prints what each goroutine does
	}
	c.WaitDelay = 20 * time.Second
	c.Dir = work
	c.Env = append(append(os.Environ(), environment(work)...), "PWD="+work, "TERM=xterm")
	return c
}

// terminal is a faultline on a terminal, what it has written, and what that shows.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File // our end
	read chan struct{}

	mu     sync.Mutex
	out    bytes.Buffer
	screen *vt.Emulator
}

// The size of the terminal: high enough for a whole run with its report.
const rows, columns = 150, 100

func onTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, cmd: cmd, tty: tty, read: make(chan struct{}), screen: vt.NewEmulator(columns, rows)}
	answered := make(chan struct{})
	go func() { // as a terminal does when it is asked what it can do
		defer close(answered)
		_, _ = io.Copy(tty, x.screen)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		tty.Close()
		<-x.read
		_ = x.screen.InputPipe().(io.Closer).Close() // ends the reading, which its Close races with
		<-answered
	})
	go func() {
		defer close(x.read)
		b := make([]byte, 4096)
		for {
			n, err := tty.Read(b) // EIO when nobody has the other end open
			x.mu.Lock()
			x.out.Write(b[:n])
			_, _ = x.screen.Write(b[:n])
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

// shows is what the terminal shows now.
func (x *terminal) shows() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.TrimRight(x.screen.String(), " \n")
}

// expect waits until the terminal has shown something.
func (x *terminal) expect(what string) {
	x.t.Helper()
	if !eventually(func() bool { return strings.Contains(x.text(), what) || strings.Contains(x.shows(), what) }) {
		x.t.Fatalf("the terminal never showed %q:\n%s", what, x.shows())
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
		x := onTerminal(t, faultlineIn(t, work, "run", "day"))
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
	x := onTerminal(t, faultlineIn(t, work, "run", "day", "-var", "duration=3s"))
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
	final := x.shows()
	for _, gone := range []string{"mark: baseline ", "mark: during ", "% good of", "on: dummy_mark.one", "h halt"} {
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

// A log that goes to the same terminal stands above the picture, and does not tear it.
func TestTerminalWithALog(t *testing.T) {
	t.Parallel()
	work := workFolder(t)
	x := onTerminal(t, faultlineIn(t, work, "run", "day", "-auto-approve", "-log-level", "trace", "-var", "duration=3s"))
	x.expect("mark: during ")
	if got := x.end(); got != 0 {
		t.Errorf("the code is %d", got)
	}
	final := strings.Join(strings.Fields(x.shows()), " ") // long lines are folded
	for _, once := range []string{"call=Inject type=dummy_mark fault=f001 targets=1", "call=Revert type=dummy_mark fault=f001 targets=1", "HELD – mark"} {
		if strings.Count(final, once) != 1 {
			t.Errorf("%q is %d times on the screen:\n%s", once, strings.Count(final, once), x.shows())
		}
	}
	for _, gone := range []string{"mark: during ", "% good of", "h halt"} {
		if strings.Contains(final, gone) {
			t.Errorf("the status %q stays on the screen:\n%s", gone, x.shows())
		}
	}
}

// The keys put what a person sees on record, halt, and stop.
func TestTerminalKeys(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*terminal, string) {
		work := workFolder(t)
		x := onTerminal(t, faultlineIn(t, work, "run", "day", "-auto-approve", "-var", "duration=5m"))
		x.expect("mark: during ")
		x.expect("h halt · n note")
		return x, work
	}
	putBack := func(t *testing.T, x *terminal, work string, says string) {
		if got := x.end(); got != judge.ExitAborted {
			t.Errorf("the code is %d:\n%s", got, x.shows())
		}
		if exists(filepath.Join(work, "things", "pear.marked")) || !strings.Contains(x.shows(), says) {
			t.Errorf("not put back, or it does not say %q:\n%s", says, x.shows())
		}
	}
	t.Run("notes", func(t *testing.T) {
		t.Parallel()
		x, work := begin(t)
		x.send("n")
		x.expect("note: ")
		x.send("the pager\b\b\bger is quiet")
		x.expect("note: the pager is quiet")
		x.send("\x1b")
		if !eventually(func() bool { return strings.Contains(x.shows(), "h halt · n note") }) {
			t.Fatalf("Esc does not forget a note:\n%s", x.shows())
		}
		x.send("nthe phone rings\r")
		x.expect("  note: the phone rings (")
		x.send("d")
		x.expect("  detected (")
		x.send("m")
		x.expect("  mitigated (")
		x.send("\x03") // Ctrl-C
		putBack(t, x, work, "stopped by the operator (interrupt)")
		if strings.Contains(x.text(), "is quiet (") {
			t.Error("a note that was given up is on record")
		}
	})
	t.Run("halt", func(t *testing.T) {
		t.Parallel()
		x, work := begin(t)
		x.send("h")
		x.expect("press h again to halt")
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		if !eventually(func() bool { // a busy machine may be too late with the second one
			_, _ = x.tty.WriteString("h") // it may have ended meanwhile
			<-tick.C
			return strings.Contains(x.text(), "halted by ")
		}) {
			t.Fatalf("pressed again and again, h does not halt:\n%s", x.shows())
		}
		putBack(t, x, work, "halted by ")
		out, err := faultlineIn(t, work, "run", "day").CombinedOutput()
		if code(t, err) != exitRefused || !strings.Contains(string(out), "a halt is in force") {
			t.Errorf("after a halt a run begins: %s", out)
		}
	})
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
		cmd := faultlineIn(t, work, test.args...)
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
	cmd := faultlineIn(t, work, "run", "day", "-auto-approve", "-var", "duration=3s")
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
	cmd := faultlineIn(t, work, "run", "day")
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
