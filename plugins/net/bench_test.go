//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/plugins/internal/nft"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// floor is the least that a cut and a token bucket can cost, in and out: to enter the
// namespace, and to say it to the kernel, with no lease, no choice and no look back.
func floor(n *netns.Namespace, device string) error {
	return n.Do(func() error {
		c, err := nft.Dial()
		if err != nil {
			return err
		}
		defer c.Leave()
		table := nft.Table{Family: nft.Inet, Name: "bare"}
		var in, out nft.Batch
		in.AddTable(table, 0)
		in.AddChain(nft.Chain{Table: table, Name: "out", Type: "filter", Hook: unix.NF_INET_LOCAL_OUT})
		in.AddRule(table, "out", &expr.Verdict{Kind: expr.VerdictDrop})
		out.DelTable(table)
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		bucket := &netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(0x77, 0), Parent: netlink.HANDLE_ROOT},
			Rate:       125_000, Limit: 64_000, Buffer: 100_000,
		}
		for _, step := range []func() error{
			func() error { return c.Commit(&in) },
			func() error { return netlink.QdiscAdd(bucket) },
			func() error { return netlink.QdiscDel(bucket) },
			func() error { return c.Commit(&out) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkFaultInOut puts a cut and a token bucket into a namespace and out again,
// through the plugin as its engine sees it, beside the floor.
func BenchmarkFaultInOut(b *testing.B) {
	p := nettest.NewPair(b)
	w := newWires()
	target := w.add(b, p)
	life := newBenchLife(b)
	var bare, fault []time.Duration
	for range b.N {
		at := time.Now()
		if err := floor(p.Here.Namespace, nettest.Device); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(at))
		fault = append(fault, life.inOut([]schema.Candidate{target}, "net_partition", `{}`)+
			life.inOut([]schema.Candidate{target}, "net_bandwidth", `{"rate":"1mbit"}`))
	}
	report(b, bare, fault)
}

// BenchmarkCut100Containers cuts 100 containers off in one fault.
func BenchmarkCut100Containers(b *testing.B) {
	const containers = 100
	cli := dockertest.Client(b)
	image := dockertest.ShopImage(b)
	targets := make([]schema.Candidate, containers)
	spaces := make([]*netns.Namespace, containers)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range targets {
		group.Go(func() error {
			c := dockertest.Run(b, dockertest.Container{Image: image, Args: []string{"store", "-listen", ":8080"}})
			seen, err := cli.ContainerInspect(context.Background(), c.ID)
			if err != nil {
				return err
			}
			targets[i] = schema.Candidate{ID: c.ID, Name: c.Name, Interfaces: []string{"container"}, Attributes: map[string]any{"id": c.ID, "engine": cli.DaemonHost()}}
			spaces[i], err = netns.OfProcess(seen.State.Pid)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	life := newBenchLife(b)
	var bare, fault []time.Duration
	for range b.N {
		at := time.Now()
		for _, n := range spaces {
			if err := floor(n, "eth0"); err != nil {
				b.Fatal(err)
			}
		}
		bare = append(bare, time.Since(at))
		fault = append(fault, life.inOut(targets, "net_partition", `{}`))
	}
	for _, n := range spaces {
		n.Close()
	}
	report(b, bare, fault)
}

// report gives medians: a machine that others use too is now and then late by much.
func report(b *testing.B, bare, fault []time.Duration) {
	slices.Sort(bare)
	slices.Sort(fault)
	x, y := nettest.Median(bare), nettest.Median(fault)
	b.ReportMetric(x.Seconds()*1e3, "bare-ms/op")
	b.ReportMetric(y.Seconds()*1e3, "fault-ms/op")
	b.ReportMetric(y.Seconds()/x.Seconds(), "times-bare")
	b.ReportMetric(0, "ns/op")
}

// benchLife puts faults in and out.
type benchLife struct {
	b      *testing.B
	server wire.Server
	n      int
}

func newBenchLife(b *testing.B) *benchLife {
	server, err := sdk.NewServer(plugin())
	if err != nil {
		b.Fatal(err)
	}
	over, opened, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() { // an engine that lives
		ended <- server.Session(context.Background(), func() (wire.Renewal, error) {
			once.Do(func() { close(opened) })
			<-over
			return wire.Renewal{}, io.EOF
		}, func(wire.LeaseEvent) error { return nil })
	}()
	<-opened
	b.Cleanup(func() { close(over); <-ended })
	return &benchLife{b: b, server: server}
}

// inOut measures Inject and Revert; to prepare is not part of it.
func (l *benchLife) inOut(targets []schema.Candidate, typ, config string) time.Duration {
	l.b.Helper()
	ctx := context.Background()
	fail := func(text string, err error) error {
		if text != "" {
			return fmt.Errorf("%s", text)
		}
		return err
	}
	var undo []wire.Undo
	err := l.server.Prepare(ctx, wire.Prepare{Type: typ, Config: json.RawMessage(config), Targets: targets}, func(p wire.Prepared) error {
		undo = append(undo, wire.Undo{Target: p.Target, Undo: p.Undo})
		return fail(p.Err, nil)
	})
	if err != nil {
		l.b.Fatal(err)
	}
	l.n++
	lease := wire.Lease{Run: "bench", Fault: fmt.Sprint(typ, "-", l.n)}
	at := time.Now()
	err = l.server.Inject(ctx, wire.Inject{Lease: lease, Type: typ, Config: json.RawMessage(config), Targets: undo, TTL: time.Hour, HardEnd: time.Hour},
		func(x wire.Injected) error { return fail(x.Err, nil) })
	if err == nil {
		err = l.server.Revert(ctx, wire.Revert{Lease: lease, Type: typ, By: "bench", Targets: undo}, func(x wire.Reverted) error { return fail(x.Err, nil) })
	}
	if err != nil {
		l.b.Fatal(err)
	}
	return time.Since(at)
}
