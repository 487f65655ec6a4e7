package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"go.uber.org/goleak"

	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
)

func TestMain(m *testing.M) {
	pressure.Main() // the test binary also plays the pressure processes
	// Tests mostly wait for the engine, also where there are few processors. The command
	// line is parsed later, and wins.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	plugintest.Main(leakChecked{m}, plugin(newEngines()))
}

// leakChecked fails a test run that leaves goroutines behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// Every fault keeps what the contract of a fault promises, also when the plugin is
// killed at any point of it. A restart has nothing to put back and is tested beside
// it: the kit wants to see a fault stay until it is reverted.
func TestFaultsKeepTheirPromises(t *testing.T) {
	l := newLab(t)
	plugintest.Faults(t,
		l.conforms("docker_kill", nil, isDown, nil),
		l.conforms("docker_disconnect", nil, func(l *lab, id string) bool { return len(l.look(id).Networks) == 0 }, l.homes()),
		l.conforms("docker_stop", map[string]any{"timeout": "1s"}, isDown, nil),
		l.conforms("docker_pause", nil, func(l *lab, id string) bool { return l.look(id).Paused }, nil),
		l.conforms("docker_limit", map[string]any{"cpus": 0.5, "processes": 40}, func(l *lab, id string) bool {
			return limitsOf(l.look(id).Resources) != limits{}
		}, nil),
	)
}

// The same, where either the fault or the look at the target takes root.
func TestFaultsOfRootKeepTheirPromises(t *testing.T) {
	needRoot(t)
	l := newLab(t)
	plugintest.Faults(t,
		l.conforms("docker_pause", map[string]any{"via": "crash"}, isFrozen, nil),
		l.conforms("docker_stress", map[string]any{"cpu": map[string]any{"cores": 1, "load": 10}}, isVisited, nil),
		l.conforms("docker_disk_fill", map[string]any{"size": "1MiB", "reserve": "1%"}, isVisited, nil),
		l.conforms("docker_exec", map[string]any{
			"command": makesFile.Command, "undo": makesFile.Undo, "check": makesFile.Check, "timeout": "60s",
		}, func(l *lab, id string) bool { return l.has(id, "/broken") }, nil),
	)
}

// conforms is the case of a fault. Its containers are connected as home says; with nil
// they share the host's network: a network for each is what costs the engine most.
func (l *lab) conforms(typ string, config map[string]any, bitten func(l *lab, id string) bool, home func() option) plugintest.Case {
	if home == nil {
		home = func() option { return onHost }
	}
	kit := plugintest.Case{
		Plugin: plugin(l.engines), Type: typ, Config: config, SameUndo: sameButMark, Timeout: time.Minute,
		Target: (&stock{lab: l, home: home}).take,
		Bitten: func(target schema.Candidate) (bool, error) { return bitten(l, target.ID), nil },
		State: func(target schema.Candidate) (string, error) {
			s := l.look(target.ID)
			text := fmt.Sprintf("%s %s", s.Status, s.RestartPolicy)
			for _, name := range slices.Sorted(maps.Keys(s.Networks)) {
				n := s.Networks[name]
				text += fmt.Sprintf("; %s: %s as %v", name, n.IPAddress, slices.Sorted(slices.Values(n.Aliases)))
			}
			return text, nil
		},
		Destroy: func(_ testing.TB, target schema.Candidate) { l.remove(target.ID) },
	}
	// What belongs to the container stays when it is started anew, and is put back then.
	if !slices.Contains([]string{"docker_disconnect", "docker_limit", "docker_exec"}, typ) {
		kit.Replace = func(t testing.TB, target schema.Candidate) {
			at := l.in(t)
			at.must(l.engine.ContainerRestart(context.Background(), target.ID, container.StopOptions{Signal: "SIGKILL"}))
			at.ready(target.ID)
		}
	}
	return kit
}

// homes gives each container an address of its own in a new network, by the same name.
func (l *lab) homes() func() option {
	net, _, prefix := l.network()
	var address atomic.Int64
	address.Store(10)
	return func() option {
		return connected(net, &network.EndpointSettings{
			Aliases:    []string{"store"},
			IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: prefix + strconv.FormatInt(address.Add(1), 10)},
		})
	}
}

func onHost(_ *container.Config, h *container.HostConfig, _ *network.NetworkingConfig) {
	h.NetworkMode = "host"
}

func isVisited(l *lab, id string) bool { return l.guests(id) > 0 }

// sameButMark compares undo records that have a random mark each.
func sameButMark(a, b json.RawMessage) bool {
	mark := regexp.MustCompile(`"mark":"[^"]*"`)
	return bytes.Equal(mark.ReplaceAll(a, nil), mark.ReplaceAll(b, nil))
}

func isFrozen(l *lab, id string) bool {
	s := l.look(id)
	if !s.Running {
		return false
	}
	_, g, err := s.mainProcess()
	l.must(err)
	f, err := g.Freezer()
	l.must(err)
	frozen, err := f.Frozen()
	l.must(err)
	return frozen
}

// has looks for a file inside of a container, past the engine.
func (l *lab) has(id, file string) bool {
	l.t.Helper()
	s := l.look(id)
	if !s.Running {
		return false
	}
	_, err := os.Stat(fmt.Sprintf("/proc/%d/root%s", s.Pid, file))
	return err == nil
}

func isDown(l *lab, id string) bool { return !l.look(id).Running }
