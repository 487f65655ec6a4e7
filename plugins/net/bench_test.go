//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
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

// bare is the least that a cut and a token bucket can cost, in and out: each time to enter
// the namespace, to say it to the kernel, and to read back that it is so, which a fault
// has to. There is no lease, no choice of packets, and nothing that is put back. What it
// talks with is open, as it is for a fault.
type bare struct {
	space  *netns.Namespace
	tables *nft.Conn
	queues *netlink.Handle
	link   netlink.Link
}

func newBare(b *testing.B, n *netns.Namespace, device string) (x bare) {
	x.space = n
	err := n.Do(func() (err error) {
		if x.tables, err = nft.Dial(); err != nil {
			return err
		}
		if x.queues, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		x.link, err = x.queues.LinkByName(device)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { x.tables.Close(); x.queues.Close() })
	return x
}

// visits enters the namespace for each of some changes, as In and Out of a fault do.
func (x bare) visits(b *testing.B, changes ...func() error) (took time.Duration) {
	at := time.Now()
	for _, change := range changes {
		if err := x.space.Do(change); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(at)
}

func (x bare) cut() (in, out func() error) {
	table := nft.Table{Family: nft.Inet, Name: "bare"}
	in = func() error {
		var b nft.Batch
		b.AddTable(table, 0)
		b.AddChain(nft.Chain{Table: table, Name: "out", Type: "filter", Hook: unix.NF_INET_LOCAL_OUT})
		b.AddRule(table, "out", &expr.Verdict{Kind: expr.VerdictDrop})
		if err := x.tables.Commit(&b); err != nil {
			return err
		}
		n, err := x.tables.Counted(table)
		if err == nil && n.Rules != 1 {
			err = fmt.Errorf("%d rules", n.Rules)
		}
		return err
	}
	out = func() error {
		var b nft.Batch
		b.DelTable(table)
		if err := x.tables.Commit(&b); err != nil {
			return err
		}
		left, err := x.tables.Tables(table.Name)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%v is still there", left)
		}
		return err
	}
	return in, out
}

func (x bare) bucket() (in, out func() error) {
	bucket := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: x.link.Attrs().Index, Handle: netlink.MakeHandle(0x77, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       125_000, Limit: 64_000, Buffer: 100_000,
	}
	shown := func(want string) error {
		all, err := x.queues.QdiscList(x.link)
		if err == nil && (len(all) != 1 || all[0].Type() != want) {
			err = fmt.Errorf("the queues are %v", all)
		}
		return err
	}
	in = func() error { return errors.Join(x.queues.QdiscAdd(bucket), shown("tbf")) }
	out = func() error { return errors.Join(x.queues.QdiscDel(bucket), shown("noqueue")) }
	return in, out
}

// BenchmarkFaultInOut puts a cut and a token bucket into a namespace and out again,
// through the plugin as its engine sees it, beside the floor.
func BenchmarkFaultInOut(b *testing.B) {
	p := nettest.NewPair(b)
	w := newWires()
	target := w.add(b, p)
	life := newBenchLife(b)
	x := newBare(b, p.Here.Namespace, nettest.Device)
	cutIn, cutOut := x.cut()
	bucketIn, bucketOut := x.bucket()
	var bare, fault []time.Duration
	for range b.N {
		bare = append(bare, x.visits(b, cutIn, cutOut, bucketIn, bucketOut))
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
	var all []bare
	for _, n := range spaces {
		all = append(all, newBare(b, n, "eth0"))
	}
	var bare, fault []time.Duration
	for range b.N {
		var took time.Duration
		for _, x := range all {
			in, out := x.cut()
			took += x.visits(b, in, out)
		}
		bare = append(bare, took)
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
