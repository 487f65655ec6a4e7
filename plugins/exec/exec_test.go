package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// The test binary also plays the commands that the tests run: <binary> play PART ARG…
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "play" {
		play(os.Args[2], os.Args[3:])
		return
	}
	os.Exit(m.Run())
}

// lifetime bounds how long a command can outlive a test that lost it.
const lifetime = 6 * time.Minute

func play(part string, args []string) {
	switch part {
	case "exit": // STATUS TEXT
		fmt.Println(args[1])
		fmt.Fprintln(os.Stderr, "complaint")
		status, _ := strconv.Atoi(args[0])
		os.Exit(status)
	case "die":
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(lifetime)
	case "talk":
		for range 1000 {
			fmt.Print(strings.Repeat("ä", 1000))
		}
	case "env":
		fmt.Println(os.Getenv("FAULTLINE_TEST_A") + "," + os.Getenv("FAULTLINE_TEST_B"))
		wd, _ := os.Getwd()
		fmt.Println(wd)
	case "hang": // FILE: a child hangs as well, FILE then has both pids
		child := exec.Command(os.Args[0], "play", "sleep")
		child.Stdout = os.Stdout // and it keeps the output open
		if err := child.Start(); err != nil {
			panic(err)
		}
		os.WriteFile(args[0]+".new", fmt.Appendf(nil, "%d %d", os.Getpid(), child.Process.Pid), 0o644)
		os.Rename(args[0]+".new", args[0])
		time.Sleep(lifetime)
	case "leave": // a child in the group stays behind, with the output
		child := exec.Command(os.Args[0], "play", "sleep")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Println(child.Process.Pid)
	case "sleep":
		time.Sleep(lifetime)
	}
}

func words(part string, args ...string) []string {
	return append([]string{os.Args[0], "play", part}, args...)
}

func measure(t *testing.T, timeout time.Duration, c probeConfig) sdk.Sample {
	t.Helper()
	if err := execProbe.Check(c); err != nil {
		t.Fatal(err)
	}
	once, _, err := execProbe.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return once(ctx)
}

// enough is how long what has to come is waited for, however busy the machine is.
const enough = 2 * time.Minute

func TestProbe(t *testing.T) {
	five := 5.5
	for name, c := range map[string]struct {
		config probeConfig
		status schema.Status
		error  string
		code   float64
		output string
		value  *float64
	}{
		"good":      {probeConfig{commandConfig: commandConfig{Command: words("exit", "0", "fine")}}, schema.OK, "", 0, "fine", nil},
		"bad":       {probeConfig{commandConfig: commandConfig{Command: words("exit", "3", "x")}}, schema.Failed, "exit status 3", 3, "x", nil},
		"expected":  {probeConfig{commandConfig: commandConfig{Command: words("exit", "3", "x"), ExpectStatus: 3}}, schema.OK, "", 3, "x", nil},
		"signalled": {probeConfig{commandConfig: commandConfig{Command: words("die")}}, schema.Failed, "killed by signal: terminated", -1, "", nil},
		"value":     {probeConfig{commandConfig{Command: words("exit", "0", " 5.5 ")}, "stdout"}, schema.OK, "", 0, " 5.5 ", &five},
		"no value":  {probeConfig{commandConfig{Command: words("exit", "0", "none")}, "stdout"}, schema.OK, "", 0, "none", nil},
		"nan":       {probeConfig{commandConfig{Command: words("exit", "0", "NaN")}, "stdout"}, schema.OK, "", 0, "NaN", nil},
	} {
		s := measure(t, enough, c.config)
		if s.Status != c.status || s.Error != c.error || s.Extra["exit_code"] != c.code || s.Extra["output"] != c.output {
			t.Errorf("%s: sample %+v", name, s)
		}
		if (s.Value == nil) != (c.value == nil) || s.Value != nil && *s.Value != *c.value {
			t.Errorf("%s: value %v", name, s.Value)
		}
	}
}

func TestLongOutput(t *testing.T) {
	s := measure(t, enough, probeConfig{commandConfig: commandConfig{Command: words("talk")}})
	output, _ := s.Extra["output"].(string)
	if s.Status != schema.OK || len(output) > kept || len(output) < kept-1 || strings.Trim(output, "ä") != "" {
		t.Errorf("status %v, %d bytes of output", s.Status, len(output))
	}
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	cmd, err := commandConfig{Command: words("hang", file)}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var pids []int
	go func() { // the time is up once both run
		defer cancel()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil && len(pids) == 0; <-tick.C {
			text, _ := os.ReadFile(file)
			for _, f := range bytes.Fields(text) {
				pid, _ := strconv.Atoi(string(f))
				pids = append(pids, pid)
			}
		}
	}()
	begun := time.Now()
	_, err = cmd.run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the command ended with %v", err)
	}
	if len(pids) != 2 {
		t.Fatalf("pids %v", pids)
	}
	if took := time.Since(begun); took > lifetime/2 { // it has waited for the child
		t.Errorf("it took %v", took)
	}
	for _, pid := range pids {
		eventually(t, fmt.Sprintf("%d is gone", pid), func() bool { return gone(pid) })
	}
}

// gone is true for a process that has ended, even if nobody has waited for it.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(after, []byte("Z"))
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(enough)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

func TestTimeout(t *testing.T) {
	if s := measure(t, 200*time.Millisecond, probeConfig{commandConfig: commandConfig{Command: words("sleep")}}); s.Status != schema.Failed || s.Error != "timeout" {
		t.Errorf("sample %+v", s)
	}
}

// What a command leaves in the background does not hold up its sample.
func TestLeftBehind(t *testing.T) {
	s := measure(t, enough, probeConfig{commandConfig: commandConfig{Command: words("leave")}})
	pid, err := strconv.Atoi(s.Extra["output"].(string))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	if s.Status != schema.OK || gone(pid) {
		t.Errorf("sample %+v", s)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("FAULTLINE_TEST_A", "a")
	t.Setenv("FAULTLINE_TEST_B", "b")
	dir := t.TempDir()
	s := measure(t, enough, probeConfig{commandConfig: commandConfig{Command: words("env"), Directory: dir, Environment: []string{"FAULTLINE_TEST_A"}}})
	if s.Extra["output"] != "a,\n"+dir {
		t.Errorf("output %q", s.Extra["output"])
	}
}

func TestCannotStart(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s := measure(t, enough, probeConfig{commandConfig: commandConfig{Command: []string{program}}}); s.Status != schema.Missing {
		t.Errorf("sample %+v", s)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]commandConfig{
		"empty":      {},
		"no program": {Command: []string{"", "x"}},
		"directory":  {Command: []string{"true"}, Directory: "here"},
		"variable":   {Command: []string{"true"}, Environment: []string{"A=b"}},
	} {
		if c.check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, c := range map[string]commandConfig{
		"no such program":   {Command: []string{"/no/such/program"}},
		"no such directory": {Command: []string{"true"}, Directory: "/no/such/directory"},
		"unset variable":    {Command: []string{"true"}, Environment: []string{"FAULTLINE_TEST_UNSET"}},
	} {
		if _, err := c.resolve(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAction(t *testing.T) {
	server, err := sdk.NewServer(plugin())
	if err != nil {
		t.Fatal(err)
	}
	act := func(timeout time.Duration, config map[string]any) (string, error) {
		body, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		return server.Act(ctx, "exec", body)
	}
	if detail, err := act(enough, map[string]any{"command": words("exit", "0", "done")}); err != nil || detail != "exit status 0: done" {
		t.Errorf("%q, %v", detail, err)
	}
	if _, err := act(enough, map[string]any{"command": words("exit", "2", "x")}); err == nil || !strings.Contains(err.Error(), "exit status 2, not 0: complaint") {
		t.Errorf("a wrong status: %v", err)
	}
	if _, err := act(200*time.Millisecond, map[string]any{"command": words("sleep")}); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("too slow: %v", err)
	}
}

// The whole way: a stream of samples, as the engine gets it.
func TestStream(t *testing.T) {
	server, err := sdk.NewServer(plugin())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"command": words("exit", "0", "7"), "value": "stdout"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	good := 0
	err = server.Probe(ctx, wire.Probe{Type: "exec", Config: body, Interval: 50 * time.Millisecond, Timeout: enough, Start: time.Now()},
		func(b wire.Batch) error {
			for _, s := range b.Samples {
				if s.Status == schema.OK && s.Value == 7 && s.Latency > 0 {
					good++
				}
			}
			if good >= 5 {
				cancel()
			}
			return nil
		})
	if good < 5 {
		t.Errorf("%d good samples: %v", good, err)
	}
}
