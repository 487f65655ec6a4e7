package experiments_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/hold"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/plugins/docker/dockertest"
)

// trial runs an experiment of the catalogue on real containers.
type trial struct {
	name string
	run  func(*testing.T, *service, *runner)
}

var trials = []trial{
	{"brownout", func(t *testing.T, s *service, r *runner) {
		held(t, s, r, s.uses(t, "brownout", "", `
    labels   = { service = "SERVICE", app = "web", zone = "a" }
    percent  = 50
    cores    = 1
    load     = 50
    duration = "3s"`))
		s.happened(t, nil)
	}},
	{"chaos-gorilla", func(t *testing.T, s *service, r *runner) {
		// Zone a has two, zone c one: whichever it is, all of it goes.
		result := held(t, s, r, s.uses(t, "chaos-gorilla", "", `
    labels   = { service = "SERVICE", app = "web" }
    duration = "2s"`))
		want := map[string]string{"web-c": "die start"}
		if len(result.Experiments[0].Faults[0].Targets) == 2 {
			want = map[string]string{"web-a": "die start", "web-b": "die start"}
		}
		s.happened(t, want)
	}},
	{"chaos-kong", chaosKong},
	{"chaos-monkey", chaosMonkey},
	{"dependency-down", func(t *testing.T, s *service, r *runner) {
		held(t, s, r, s.uses(t, "dependency-down", "", `
    labels   = { service = "SERVICE", app = "store" }
    duration = "2s"`))
		s.happened(t, map[string]string{"store": "die start"})
	}},
	{"disk-full", func(t *testing.T, s *service, r *runner) {
		// A little of the machine's own disk, as the container has no other.
		held(t, s, r, s.uses(t, "disk-full", "", `
    labels   = { service = "SERVICE", app = "store" }
    path     = "/"
    size     = "8MB"
    duration = "2s"`))
		s.happened(t, nil)
	}},
	{"dns-outage", dnsOutage},
	{"frozen-dependency", func(t *testing.T, s *service, r *runner) {
		held(t, s, r, s.uses(t, "frozen-dependency", "", `
    labels   = { service = "SERVICE", app = "store" }
    duration = "2s"`))
		s.happened(t, map[string]string{"store": "pause unpause"})
	}},
	{"lose-one", func(t *testing.T, s *service, r *runner) {
		held(t, s, r, s.uses(t, "lose-one", "", `
    labels   = { service = "SERVICE", app = "web", zone = "c" }
    duration = "2s"`))
		s.happened(t, map[string]string{"web-c": "die start"})
	}},
	{"partition", func(t *testing.T, s *service, r *runner) {
		result := held(t, s, r, s.uses(t, "partition", "", `
    labels   = { service = "SERVICE", app = "web" }
    from     = ["store"]
    duration = "3s"`))
		s.happened(t, nil)
		failed(t, &result)
	}},
	{"slow-dependency", func(t *testing.T, s *service, r *runner) {
		// Longer than the gateway waits for an answer.
		result := held(t, s, r, s.uses(t, "slow-dependency", `expect = "recover"`, `
    labels   = { service = "SERVICE", app = "store" }
    delay    = "900ms"
    duration = "4s"`))
		s.happened(t, nil)
		failed(t, &result)
	}},
	{"thundering-herd", func(t *testing.T, s *service, r *runner) {
		result := held(t, s, r, s.uses(t, "thundering-herd", "", `
    labels   = { service = "SERVICE", app = "web" }
    duration = "60s"`))
		s.happened(t, map[string]string{"web-a": "die start", "web-b": "die start", "web-c": "die start"})
		if f := result.Experiments[0].Faults[0]; f.Cause != "target" {
			t.Errorf("the fault ended by %s, want by the targets, as soon as they run again", f.Cause)
		}
	}},
}

func TestTrials(t *testing.T) {
	for _, x := range trials {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s, r := newService(t), newRunner(t)
			x.run(t, s, r)
			if !s.running(t) {
				t.Error("not everything is put back")
			}
		})
	}
}

// held runs a game day that must hold, with one fault that bites, and put everything back.
func held(t *testing.T, s *service, r *runner, path string) judge.Result {
	t.Helper()
	if _, code := r.does(t, "run", "-auto-approve", "-seed", "7", path); code != judge.ExitHeld {
		t.Errorf("exit code %d, want 0", code)
	}
	result := r.report(t)
	bitten(t, &result)
	return result
}

func bitten(t *testing.T, result *judge.Result) {
	t.Helper()
	if result.Verdict != judge.Held || len(result.Residue) > 0 || len(result.Experiments) != 1 || len(result.Experiments[0].Faults) != 1 {
		t.Fatalf("verdict %s, residue %v, experiments %+v", result.Verdict, result.Residue, result.Experiments)
	}
	for _, x := range result.Experiments[0].Faults[0].Targets {
		if !x.Bites || x.Outcome == "" {
			t.Errorf("%s was hit: %t (%s), and put back: %q", x.Name, x.Bites, x.Effect, x.Outcome)
		}
	}
}

// failed looks whether customers have noticed a fault, as they must.
func failed(t *testing.T, result *judge.Result) {
	t.Helper()
	for _, l := range result.Experiments[0].Lost {
		if l.Failed > 0 {
			return
		}
	}
	t.Errorf("no request failed: %+v", result.Experiments[0].Lost)
}

// noonNow is a time zone in which it is about noon, so that no test meets midnight.
func noonNow() string {
	east := 12 - time.Now().UTC().Hour()
	return fmt.Sprintf("Etc/GMT%+d", -east) // its signs are those of POSIX
}

// Two runners with a state of their own each share a ledger: whenever they come, one
// instance dies a day, of those that have opted in.
func chaosMonkey(t *testing.T, s *service, first *runner) {
	second := newRunner(t)
	ledger := t.TempDir()
	day := s.uses(t, "chaos-monkey", "", fmt.Sprintf(`
    labels    = { service = "SERVICE", app = "web" }
    mean_days = 1
    days      = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    hours     = "00:00-24:00"
    zone      = %q
    at        = "any"
    group     = "web"
    ledger    = %q
    duration  = "2s"`, noonNow(), ledger))
	if said, code := first.does(t, "plan", day); code != 0 || !strings.Contains(said, "happens by chance, 1 in 1 on a work day") {
		t.Fatalf("plan: code %d", code)
	}
	if s.hit() != nil {
		t.Fatalf("a plan has hit %v", s.hit())
	}

	var both sync.WaitGroup
	said, codes := make([]string, 2), make([]int, 2)
	for i, r := range []*runner{first, second} {
		both.Go(func() { said[i], codes[i] = r.does(t, "run", "-auto-approve", day) })
	}
	both.Wait()
	if !slices.Equal(codes, []int{0, 0}) {
		t.Fatalf("exit codes %v, want 0 for the one that kills and 0 for the other", codes)
	}
	killed := 0
	for _, text := range said {
		if strings.Contains(text, "inject docker_kill.instance") {
			killed++
		} else if !strings.Contains(text, "not due again: it had its turn") {
			t.Error("the runner that has not killed does not say why")
		}
	}
	hit := s.hit()
	if killed != 1 || len(hit) != 1 || hit[0] == "web-c" {
		t.Fatalf("%d runners killed, and hit are %v; want one instance that has opted in", killed, hit)
	}
	s.happened(t, map[string]string{hit[0]: "die start"})

	// Later on the same day nothing is due, which is a normal end, and no run.
	if text, code := second.does(t, "run", "-auto-approve", day); code != 0 || !strings.Contains(text, "Nothing is due") {
		t.Errorf("a third time: code %d", code)
	}
	files, err := filepath.Glob(filepath.Join(ledger, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the ledger has %v, %v", files, err)
	}
	turns, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(turns, []byte("\n")) != 1 {
		t.Errorf("the ledger has not one turn:\n%s", turns)
	}
	s.happened(t, map[string]string{hit[0]: "die start"})
}

// What asks for a name gets no true answer. The service itself keeps its connections, so
// that another container does the asking: a gateway to somebody who is never there.
func dnsOutage(t *testing.T, s *service, r *runner) {
	asking := dockertest.Run(t, dockertest.Container{
		Image: s.image, Args: []string{"gateway", "-listen", ":8080", "-backends", "nobody"}, Publish: "8080",
		Network: s.net, Aliases: []string{"asking"}, Labels: map[string]string{"app": "asking", "asks-for": s.name},
	})
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if answer, err := http.Get("http://" + asking.Address + "/checkout"); err == nil {
					answer.Body.Close()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	held(t, s, r, s.uses(t, "dns-outage", "", `
    labels   = { asks-for = "SERVICE", app = "asking" }
    names    = ["nobody"]
    answer   = "servfail"
    duration = "3s"`))
	stop()
	<-over
	s.happened(t, nil)
}

// A person at another terminal leads a region's failover through its hold points.
func chaosKong(t *testing.T, s *service, r *runner) {
	diary := filepath.Join(t.TempDir(), "diary")
	note := func(what string) string {
		return fmt.Sprintf("[\"sh\", \"-c\", \"echo %s >>%s\"]", what, diary)
	}
	day := s.uses(t, "chaos-kong", "", fmt.Sprintf(`
    labels   = { service = "SERVICE", app = "web" }
    region   = "east"
    failover = %s
    failback = %s
    least    = "1s"`, note("failover"), note("failback")))
	run := r.commandIn(t.Context(), "run", "-auto-approve", "-wait-for-answers", day)
	var out output
	run.Stdout, run.Stderr = &out, &out
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the run says:\n%s", &out)
		}
	})
	for _, step := range []struct {
		prompt string
		diary  string
		hit    map[string]string
	}{
		{"ready", "", nil},
		{"moved", "failover\n", nil},
		{"enough", "failover\n", map[string]string{"web-a": "die", "web-b": "die"}},
		{"healthy", "failover\n", map[string]string{"web-a": "die start", "web-b": "die start"}},
	} {
		eventually(t, "prompt "+step.prompt+" waits", func() bool { return slices.Equal(waiting(t, r), []string{step.prompt}) })
		if text, _ := os.ReadFile(diary); string(text) != step.diary {
			t.Errorf("at prompt %s the commands that were run are %q, want %q", step.prompt, text, step.diary)
		}
		s.happened(t, step.hit)
		if _, code := r.does(t, "answer", "continue", "-prompt", step.prompt); code != 0 {
			t.Fatalf("answer %s: code %d", step.prompt, code)
		}
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("the run ended with %v:\n%s", err, &out)
		}
	case <-time.After(patience):
		t.Fatalf("the run did not end:\n%s", &out)
	}
	if text, _ := os.ReadFile(diary); string(text) != "failover\nfailback\n" {
		t.Errorf("the commands that were run are %q", text)
	}
	result := r.report(t)
	bitten(t, &result)
	if f := result.Experiments[0].Faults[0]; f.Cause != "step" || len(f.Targets) != 2 {
		t.Errorf("the region was put back because of %s, %d targets; want step, 2", f.Cause, len(f.Targets))
	}
	if p := result.Experiments[0].Prompts; len(p) != 4 || p[2].Answer != "continue" || p[2].By == "" {
		t.Errorf("prompts %+v", p)
	}
}

// waiting lists the prompts that wait.
func waiting(t *testing.T, r *runner) []string {
	t.Helper()
	out, err := r.command("answer", "-format", "json").Output()
	if err != nil {
		t.Fatalf("answer: %v", err)
	}
	var all []hold.Question
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, q := range all {
		names = append(names, q.Prompt)
	}
	return names
}

// output can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
