package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

const (
	probeRate = 1000
	probeTime = 10 * time.Second
)

const probeScenario = `scenario "probe" {}
variable "url" { type = string }
probe "http" "p" {
  url  = var.url
  rate = 1000
}
steady_state "s" {
  objective "o" {
    probe  = probe.http.p
    good   = sample.ok
    target = 0.5
  }
}
experiment "watch" {
  steady_state = [steady_state.s]
  observe      = "10s"
}
`

// arrivals is a server that writes down when requests come.
type arrivals struct {
	mu  sync.Mutex
	all []time.Time
}

func (a *arrivals) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	at := time.Now()
	a.mu.Lock()
	a.all = append(a.all, at)
	a.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (a *arrivals) take() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.all
	a.all = nil
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// probe measures how well a probe of 1,000 requests a second keeps its schedule, and
// what engine and plugin cost beside a bare client that does the same.
func (b *benches) probe() ([]row, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	seen := &arrivals{all: make([]time.Time, 0, 2*probeRate*int(probeTime/time.Second))}
	server := &http.Server{Handler: seen}
	go server.Serve(listener)
	defer server.Close()
	url := "http://" + listener.Addr().String() + "/"

	path := filepath.Join(b.dir, "probe.hcl")
	if err := os.WriteFile(path, []byte(probeScenario), 0o644); err != nil {
		return nil, err
	}
	cmd := b.command("run", path, "-var", "url="+url)
	if _, _, err := timed(cmd); err != nil {
		return nil, err
	}
	ours := cpu(cmd)
	late, missing, err := b.lateness(seen.take())
	if err != nil {
		return nil, err
	}

	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bare := exec.Command(self, "-client", url)
	if _, _, err := timed(bare); err != nil {
		return nil, err
	}
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / probeTime.Seconds() }
	return []row{
		{"http probe at 1000/s: sent late, p99", ms(late), fmt.Sprintf("arrival at the server; %d not sent", missing), "< 2 ms"},
		{"  engine and plugin, of a core", fmt.Sprintf("%.0f %%", share(ours)), fmt.Sprintf("a bare client: %.0f %%", share(cpu(bare))), "< 25 % on top"},
	}, nil
}

// cpu is what a command and the processes that it waited for used.
func cpu(cmd *exec.Cmd) time.Duration {
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// lateness compares the schedule of the latest run, from its journal, with what
// arrived: the i-th scheduled against the i-th arrived. It includes the way to the
// server.
func (b *benches) lateness(arrived []time.Time) (p99 time.Duration, missing int, err error) {
	store, err := journal.OpenRead(filepath.Join(b.dir, "state"))
	if err != nil {
		return 0, 0, err
	}
	latest, err := store.Latest()
	if err != nil {
		return 0, 0, err
	}
	var scheduled []time.Time
	for e, err := range journal.Read(latest.Dir) {
		if err != nil {
			return 0, 0, err
		}
		s, ok := e.Data.(*journal.Samples)
		if !ok {
			continue
		}
		for i, offset := range s.Offset {
			if s.Status[i] == journal.StatusMissing {
				missing++
				continue
			}
			scheduled = append(scheduled, s.Start.Add(time.Duration(offset)*time.Microsecond))
		}
	}
	slices.SortFunc(scheduled, time.Time.Compare)
	n := min(len(scheduled), len(arrived))
	if n == 0 {
		return 0, missing, fmt.Errorf("no request arrived")
	}
	late := make([]time.Duration, n)
	for i := range n {
		late[i] = arrived[i].Sub(scheduled[i])
	}
	slices.Sort(late)
	return late[n*99/100], missing, nil
}

// bareClient sends requests at the probe's rate and does nothing else.
func bareClient(url string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: time.Second}
	var running sync.WaitGroup
	began := time.Now()
	for i := range probeRate * int(probeTime/time.Second) {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / probeRate)))
		running.Go(func() {
			r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
			if err != nil {
				return
			}
			if resp, err := client.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	running.Wait()
}
