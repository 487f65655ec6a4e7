package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk"
)

var update = flag.Bool("update", false, "write what the scripts' golden files should be")

// dummyBinary is a name under which the test binary plays the dummy plugin. All
// commands of testscript.Main stand in one folder, which is faultline's own, so that
// faultline finds it there.
const dummyBinary = "faultline-plugin-dummy"

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // a configuration that others may write to is refused
	if playsLamp() {
		return
	}
	testscript.Main(suite{m}, map[string]func(){
		"faultline": func() {
			builtinPlugins, inherited = os.Getenv(builtinEnv), []string{"GORACE", hostileEnv}
			main()
		},
		dummyBinary: func() { sdk.Serve(dummy()) },
	})
}

// builtinEnv has what the linker would put into a built faultline: the checksum of the
// dummy plugin, which is that of the test binary.
const builtinEnv = "FAULTLINE_TEST_PLUGINS"

func builtin() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return trust.FormatSums(map[string]string{"dummy": fmt.Sprintf("%x", h.Sum(nil))}), nil
}

// suite gives all tests one cache of plugin descriptions, and removes what the tests
// share.
type suite struct{ *testing.M }

func (s suite) Run() int {
	cache, err := os.MkdirTemp("", "faultline-cache-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(cache)
	defer real.remove()
	os.Setenv("XDG_CACHE_HOME", cache)
	sums, err := builtin()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(builtinEnv, sums)
	// Scripts mostly wait for game days to pass, also where there are few processors.
	// The command line is parsed later, and wins.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, name := range []string{"NO_COLOR", "FAULTLINE_STATE_DIR", "FAULTLINE_REAL", "DOCKER_HOST", "GITHUB_ACTIONS", "GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY", "CI_PROJECT_DIR", "WORKSPACE"} {
		os.Unsetenv(name)
	}
	return s.M.Run()
}

// Each script has a folder of its own with a small game day in it (testdata/day),
// and a state folder beside.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"harmless": harmlessCommand,
			"normal":   normalCommand,
			"code":     codeCommand,
			"await":    awaitCommand,
			"signal":   signalCommand,
			"real":     realCommand,
			"lamp":     lampCommand,
			"serve":    serveCommand,
		},
	})
}

func setup(env *testscript.Env) error {
	runs, err := filepath.Abs("testdata/runs")
	if err != nil {
		return err
	}
	env.Setenv("RUNS", runs)
	env.Setenv("FAULTLINE_BIN", binDir())
	for _, kv := range environment(env.WorkDir) {
		name, value, _ := strings.Cut(kv, "=")
		env.Setenv(name, value)
	}
	if err := layOut(env.WorkDir); err != nil {
		return err
	}
	t := env.T()
	env.Defer(func() {
		if left := leftBehind(env.WorkDir); len(left) > 0 {
			t.Log("left behind: " + strings.Join(left, "\n"))
			t.FailNow()
		}
	})
	return nil
}

// environment is what a faultline needs that works in a test's folder.
func environment(work string) []string {
	return []string{
		"FAULTLINE_STATE_DIR=" + filepath.Join(work, "state"), "XDG_CACHE_HOME=" + os.Getenv("XDG_CACHE_HOME"),
		builtinEnv + "=" + os.Getenv(builtinEnv), "GORACE=" + os.Getenv("GORACE"), "HOME=" + work, "TMPDIR=" + filepath.Join(work, ".tmp"), "TZ=UTC",
	}
}

// layOut writes the game day into a test's folder, beside what it marks.
func layOut(work string) error {
	for _, dir := range []string{".tmp", "things", "trouble"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{"apple", "pear", "plum"} {
		if err := os.WriteFile(filepath.Join(work, "things", name), []byte(name[:2]+"\n"), 0o600); err != nil {
			return err
		}
	}
	// A script may add files to the folder.
	if err := os.CopyFS(filepath.Join(work, "day"), os.DirFS("testdata/day")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// leftBehind lists what nothing of ours may leave: processes that work in the folder or
// are told about it, as a guardian is, and sockets of plugins. A process that was told
// to end may take its time.
func leftBehind(work string) []string {
	var left []string
	eventually(func() bool {
		left, _ = filepath.Glob(filepath.Join(work, ".tmp", "faultline-*"))
		here := processesIn(work)
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range lines {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			line, _ := os.ReadFile(path)
			if pid != os.Getpid() && (slices.Contains(here, pid) || strings.Contains(string(line), work+"/")) {
				left = append(left, fmt.Sprintf("process %d: %s", pid, strings.ReplaceAll(string(line), "\x00", " ")))
			}
		}
		return len(left) == 0
	})
	return left
}

// processesIn lists the living processes whose current folder is in the folder.
func processesIn(dir string) []int {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	var out []int
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || cwd != dir && !strings.HasPrefix(cwd, dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// binDir is the folder of the test's commands, faultline and the dummy plugin.
func binDir() string {
	path, err := exec.LookPath("faultline")
	if err != nil {
		return "?"
	}
	return filepath.Dir(path)
}

// patience is for what happens soon, on a machine with much else to do.
const patience = 3 * time.Minute

// eventually polls until ok, or until patience is over.
func eventually(ok func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok() {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ok()
		}
	}
}

// varying is what differs from run to run, and what is shown in its place.
var varying = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\b\d{8}-\d{6}\.\d{3}-[a-z0-9-]+-[0-9a-f]{8}\b`), "RUN"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?`), "DATE"},
	{regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3}`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "SHA256"},
	{regexp.MustCompile(`\bplan [0-9a-f]{12}\b`), "plan HASH"},
	{regexp.MustCompile(`\bpid \d+`), "pid N"},
}

var number = regexp.MustCompile(`\d+([.,]\d+)*`)

// normalCommand makes a text ("stdout", "stderr" or a file) the new standard output,
// with what varies replaced: `normal [-progress] TEXT`. With -progress only what a run
// says up to its report is kept, and every number is replaced.
func normalCommand(ts *testscript.TestScript, _ bool, args []string) {
	progress := len(args) > 0 && args[0] == "-progress"
	if progress {
		args = args[1:]
	}
	if len(args) != 1 {
		ts.Fatalf("usage: normal [-progress] TEXT")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "$WORK")
	text = strings.ReplaceAll(text, binDir(), "$BIN")
	for _, v := range varying {
		text = v.what.ReplaceAllString(text, v.name)
	}
	if progress {
		text, _, _ = strings.Cut(text, "\n\n")
		text = number.ReplaceAllString(text+"\n", "N")
	}
	fmt.Fprint(ts.Stdout(), text)
}

// harmlessCommand looks for what a terminal would act on in a text: `harmless TEXT`.
func harmlessCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: harmless TEXT")
	}
	for i, line := range strings.Split(ts.ReadFile(args[0]), "\n") {
		if at := strings.IndexFunc(line, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) && r != '\t' }); at >= 0 {
			ts.Fatalf("line %d of %s has %q", i+1, args[0], line[max(0, at-40):min(len(line), at+40)])
		}
	}
}

// codeCommand runs a program that must end with this very code: `code CODE PROGRAM
// ARG ...`.
func codeCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code CODE PROGRAM ARG ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with code %d, not %d\n%s%s", args[1], got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// awaitCommand waits until a file exists, or with ! until there is none: `await FILE`.
// FILE may be a pattern.
func awaitCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	there := func() bool {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		return len(found) > 0
	}
	if !eventually(func() bool { return there() != neg }) {
		ts.Fatalf("%s: waited %s in vain", args[0], patience)
	}
}

// signalCommand sends a signal to the faultline that runs in the script's folder:
// `signal KILL`. What is to be killed takes its guardian along, which would recover.
func signalCommand(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	if len(args) != 1 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal INT|TERM|HUP|KILL")
	}
	if args[0] == "KILL" {
		files, err := filepath.Glob(filepath.Join(ts.Getenv("WORK"), "state", "runs", "*", "guardian.pid"))
		ts.Check(err)
		for _, file := range files {
			raw, err := os.ReadFile(file)
			ts.Check(err)
			pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
			ts.Check(err)
			if err := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
				ts.Check(err)
			}
		}
	}
	sent := false
	for _, pid := range processesIn(ts.Getenv("WORK")) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		first, _, _ := strings.Cut(string(line), "\x00")
		if err == nil && filepath.Base(first) == "faultline" {
			ts.Check(syscall.Kill(pid, signals[args[0]]))
			sent = true
		}
	}
	if !sent {
		ts.Fatalf("no faultline runs here")
	}
}
