//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	containertype "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/plugins/net/helper"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// A container with a service that answers, as its target kind discovers it.
func newContainer(t testing.TB) schema.Candidate {
	t.Helper()
	cli := dockertest.Client(t)
	c := dockertest.Run(t, dockertest.Container{Image: dockertest.ShopImage(t), Args: []string{"store", "-listen", ":8080"}})
	seen, err := cli.ContainerInspect(context.Background(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	target := schema.Candidate{
		Kind: "docker_container", Interfaces: []string{"container"}, ID: c.ID, Name: c.Name,
		Attributes: map[string]any{"id": c.ID, "engine": cli.DaemonHost()},
	}
	for _, n := range seen.NetworkSettings.Networks {
		target.Attributes["address"] = n.IPAddress + ":8080"
	}
	for end := time.Now().Add(nettest.Patience); ; {
		if _, err := connect(target, time.Second); err == nil {
			return target
		}
		if time.Now().After(end) {
			t.Fatal("the service in the container does not answer")
		}
	}
}

// connect takes up a connection to the container's service.
func connect(c schema.Candidate, within time.Duration) (time.Duration, error) {
	began := time.Now()
	conn, err := net.DialTimeout("tcp", c.Attributes["address"].(string), within)
	if err == nil {
		conn.Close()
	}
	return time.Since(began), err
}

// unreachable says whether two tries in a row get no connection, the second of which a busy
// machine has time enough for.
func unreachable(c schema.Candidate) (bool, error) {
	for _, within := range []time.Duration{400 * time.Millisecond, 2 * time.Second} {
		if _, err := connect(c, within); err == nil {
			return false, nil
		}
	}
	return true, nil
}

func hasHelper(t testing.TB) {
	t.Helper()
	dockertest.Client(t)
	plugintest.Need(t, "helper", func() error {
		_, err := helper.Program(architecture)
		return err
	})
}

// helpersOf lists helper containers beside a target.
func helpersOf(t testing.TB, cli *client.Client, id string) []string {
	t.Helper()
	all, err := helper.Of(context.Background(), cli, id)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The faults do the same by either way into a container's network.
func TestContainers(t *testing.T) {
	hasHelper(t)
	for _, how := range []string{"local", "helper"} {
		for typ, c := range map[string]struct {
			config map[string]any
			bites  func(schema.Candidate) (bool, error)
		}{
			"net_partition":      {map[string]any{"from": []string{"0.0.0.0/0"}}, unreachable},
			"net_blackhole_port": {map[string]any{"ports": []string{"8080"}, "ports_of": "target", "answer": "reject"}, unreachable},
			"net_delay": {map[string]any{"delay": "200ms"}, func(c schema.Candidate) (bool, error) {
				least := time.Hour
				for n := 0; n < 20 || n < 50 && least >= 390*time.Millisecond; n++ {
					if took, err := connect(c, nettest.Patience); err == nil {
						least = min(least, took)
					}
				}
				return least >= 200*time.Millisecond && least < 390*time.Millisecond, nil
			}},
			"net_bandwidth": {map[string]any{"rate": "800bit", "burst": "1600b", "limit": "1600b"}, func(c schema.Candidate) (bool, error) {
				late := 0
				for n := 0; n < 40 && late < 5; n++ { // when the bucket is empty, nearly all are
					if _, err := connect(c, 400*time.Millisecond); err != nil {
						late++
					}
				}
				return late == 5, nil
			}},
		} {
			t.Run(how+" "+typ, func(t *testing.T) {
				target := newContainer(t)
				p := plugintest.Client(t, plugin(), plugintest.WithSettings(map[string]any{"via": how}))
				u := inject(t, p, typ, c.config, target)
				if is, err := c.bites(target); !is || err != nil {
					t.Errorf("the fault does not bite: %v", err)
				}
				e := observe(t, p, typ, c.config, u)
				if !e.Bites || e.Measures["packets"] < 1 {
					t.Errorf("observed %+v", e)
				}
				reverted, err := p.Revert(t.Context(), wire.Revert{Lease: lease(t), Type: typ, By: "test", Targets: u})
				if err != nil || len(reverted) != 1 || reverted[0].Outcome != wire.OutcomeReverted {
					t.Fatalf("reverted %+v, %v", reverted, err)
				}
				if is, _ := c.bites(target); is {
					t.Error("it bites after it was reverted")
				}
				if left := helpersOf(t, dockertest.Client(t), target.ID); len(left) > 0 {
					t.Errorf("helpers are left: %v", left)
				}
			})
		}
	}
}

func lease(t *testing.T) wire.Lease {
	return plugintest.Lease(strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()))
}

func inject(t *testing.T, p *wire.Client, typ string, config map[string]any, target schema.Candidate) []wire.Undo {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := p.Prepare(t.Context(), wire.Prepare{Type: typ, Config: raw, Targets: []schema.Candidate{target}})
	if err != nil || len(prepared) != 1 || prepared[0].Err != "" {
		t.Fatalf("prepared %+v, %v", prepared, err)
	}
	u := []wire.Undo{{Target: target.ID, Undo: prepared[0].Undo}}
	injected, err := p.Inject(t.Context(), wire.Inject{Lease: lease(t), Type: typ, Config: raw, Targets: u, TTL: time.Minute, HardEnd: time.Hour})
	if err != nil || len(injected) != 1 || injected[0].Err != "" {
		t.Fatalf("injected %+v, %v", injected, err)
	}
	return u
}

func observe(t *testing.T, p *wire.Client, typ string, config map[string]any, u []wire.Undo) wire.Observed {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.Observe(t.Context(), wire.Observe{Type: typ, Config: raw, Targets: u})
	if err != nil || len(all) != 1 || all[0].Err != "" {
		t.Fatalf("observed %+v, %v", all, err)
	}
	return all[0]
}

// A helper that is killed the hard way takes its fault with it.
func TestAKilledHelperLeavesNoFault(t *testing.T) {
	hasHelper(t)
	cli, target := dockertest.Client(t), newContainer(t)
	p := plugintest.Client(t, plugin(), plugintest.WithSettings(map[string]any{"via": "helper"}))
	u := inject(t, p, "net_partition", map[string]any{}, target)
	if is, _ := unreachable(target); !is {
		t.Fatal("the fault does not bite")
	}
	there := helpersOf(t, cli, target.ID)
	if len(there) != 1 {
		t.Fatalf("%d helpers beside the container", len(there))
	}
	seen, err := cli.ContainerInspect(t.Context(), there[0])
	if err != nil {
		t.Fatal(err)
	}
	h := seen.HostConfig
	if !h.ReadonlyRootfs || !h.AutoRemove || h.Privileged || !slices.Equal(h.CapAdd, []string{"NET_ADMIN"}) && !slices.Equal(h.CapAdd, []string{"CAP_NET_ADMIN"}) || len(h.CapDrop) != 1 {
		t.Errorf("the helper may do more than it needs: %+v", h)
	}
	if seen.Config.Labels[helper.LabelRun] != plugintest.Run || seen.Config.Labels[helper.LabelFault] != lease(t).Fault {
		t.Errorf("its labels are %v", seen.Config.Labels)
	}
	if err := cli.ContainerKill(t.Context(), there[0], "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(nettest.Patience); ; {
		if _, err := connect(target, time.Second); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the fault is there without its helper")
		}
	}
	reverted, err := p.Revert(t.Context(), wire.Revert{Lease: lease(t), Type: "net_partition", By: "test", Targets: u})
	if err != nil || len(reverted) != 1 || reverted[0].Residue {
		t.Errorf("reverted %+v, %v", reverted, err)
	}
}

// Two faults on one container share a helper.
func TestOneHelperATarget(t *testing.T) {
	hasHelper(t)
	cli, target := dockertest.Client(t), newContainer(t)
	via.configureForTest(t, "helper")
	both := []undo{}
	for _, port := range []string{"1000", "2000"} {
		f := blackholePort()
		config := cutConfig{choice: choice{Ports: []string{port}, PortsOf: "either"}, wholePercent: wholePercent{100}, Answer: "drop"}
		p, err := f.Prepare(t.Context(), sdk.PrepareTarget{Candidate: target}, config)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Inject(t.Context(), config, p.Undo); err != nil {
			t.Fatal(err)
		}
		both = append(both, p.Undo)
	}
	for want := 1; want >= 0; want-- {
		if there := helpersOf(t, cli, target.ID); len(there) != 1 {
			t.Errorf("%d helpers", len(there))
		}
		if r, err := revert(t.Context(), both[want]); err != nil || r.Outcome != sdk.PutBack {
			t.Errorf("reverted %+v, %v", r, err)
		}
	}
	if there := helpersOf(t, cli, target.ID); len(there) != 0 {
		t.Errorf("%d helpers after the last fault", len(there))
	}
}

func (c *chosen) configureForTest(t *testing.T, how string) {
	t.Helper()
	if err := c.configure(t.Context(), settings{Via: how}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.configure(context.Background(), settings{}) })
}

// Through a helper too a fault keeps its promises, whoever is killed.
func TestHelpersKeepTheirPromises(t *testing.T) {
	hasHelper(t)
	cli := dockertest.Client(t)
	var removed atomic.Int64
	plugintest.Fault(t, plugintest.Case{
		Plugin: plugin(), Type: "net_partition", Settings: map[string]any{"via": "helper"}, Parallel: 8,
		Target: newContainer, Bitten: unreachable, Timeout: time.Minute, Prompt: 20 * time.Second,
		SameUndo: func(a, b json.RawMessage) bool { return sameButMark(a, b) },
		State: func(c schema.Candidate) (string, error) {
			all, err := helper.Of(context.Background(), cli, c.ID)
			return fmt.Sprint(len(all), " helpers"), err
		},
		Destroy: func(t testing.TB, c schema.Candidate) {
			removed.Add(1)
			if err := cli.ContainerRemove(context.Background(), c.ID, containertype.RemoveOptions{Force: true}); err != nil {
				t.Fatal(err)
			}
		},
	})
	if removed.Load() == 0 && !t.Failed() {
		t.Error("no target was taken away")
	}
}

// The helper is small, and the same program makes the same image.
func TestTheHelperIsSmall(t *testing.T) {
	plugintest.Need(t, "helper", func() error { _, err := helper.Program(architecture); return err })
	program, err := helper.Program(architecture)
	if err != nil {
		t.Fatal(err)
	}
	if len(program) > 4_000_000 {
		t.Errorf("the helper has %d bytes", len(program))
	}
	if _, err := helper.Program("pdp11"); err == nil || !strings.Contains(err.Error(), "make build HELPER_ARCHS=pdp11") {
		t.Errorf("a processor for which it was not built: %v", err)
	}
}

// A container that shares the machine's network is no target: all of it would be hit.
func TestTheMachinesOwnNetworkIsRefused(t *testing.T) {
	f := partition()
	config := cutConfig{choice: choice{PortsOf: "either"}, wholePercent: wholePercent{100}, Answer: "drop"}
	start, err := startOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Prepare(t.Context(), sdk.PrepareTarget{Candidate: sdk.Candidate{
		Name: "this test", Interfaces: []string{"process"}, Attributes: map[string]any{"pid": os.Getpid(), "start_ticks": start},
	}}, config)
	if err == nil || errors.Is(err, sdk.ErrGone) || !strings.Contains(err.Error(), "shares that of this machine") {
		t.Errorf("a process in the machine's network: %v", err)
	}
}
