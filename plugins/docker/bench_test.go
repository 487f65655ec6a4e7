package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// BenchmarkKill100 kills 100 containers in one fault, through the plugin as its
// engine sees it, beside the floor: a bare loop over the Engine API with the same
// concurrency. The rounds take turns, so that both meet the same machine.
func BenchmarkKill100(b *testing.B) { kill100(b, `{}`) }

// BenchmarkCrash100 does the same past the Engine API: goal, less than a second.
func BenchmarkCrash100(b *testing.B) { kill100(b, `{"via": "crash"}`) }

func kill100(b *testing.B, arguments string) {
	const containers, concurrency = 100, atOnce
	cli := dockertest.Client(b)
	l := labOn(b)
	ctx := context.Background()

	server, err := sdk.NewServer(plugin(l.engines))
	l.must(err)
	end := session(b, server)
	defer end()
	ids := make([]string, containers)
	targets := make([]schema.Candidate, containers)
	for i := range targets {
		ids[i] = l.create()
		targets[i] = schema.Candidate{ID: ids[i], Name: ids[i], Attributes: map[string]any{"id": ids[i]}}
	}
	config := json.RawMessage(arguments)

	var bare, fault time.Duration
	for i := range b.N {
		l.must(startAll(ctx, l.engine, ids, concurrency))
		at := time.Now()
		l.must(killAll(ctx, cli, ids, concurrency))
		bare += time.Since(at)

		l.must(startAll(ctx, l.engine, ids, concurrency))
		var undo []wire.Undo
		l.must(server.Prepare(ctx, wire.Prepare{Type: "docker_kill", Config: config, Targets: targets}, func(p wire.Prepared) error {
			undo = append(undo, wire.Undo{Target: p.Target, Undo: p.Undo})
			return failure(p.Err)
		}))
		lease := wire.Lease{Run: "bench", Fault: fmt.Sprint("kill-", i)}
		at = time.Now()
		l.must(server.Inject(ctx, wire.Inject{
			Lease: lease, Type: "docker_kill", Config: config, Targets: undo, TTL: time.Hour, HardEnd: time.Hour,
		}, func(x wire.Injected) error { return failure(x.Err) }))
		fault += time.Since(at)
		l.must(server.Revert(ctx, wire.Revert{Lease: lease, Type: "docker_kill", By: "bench", Targets: undo},
			func(x wire.Reverted) error { return failure(x.Err) }))
	}
	b.ReportMetric(bare.Seconds()/float64(b.N), "bare-s/op")
	b.ReportMetric(fault.Seconds()/float64(b.N), "fault-s/op")
	b.ReportMetric(fault.Seconds()/bare.Seconds(), "times-bare")
	b.ReportMetric(0, "ns/op")
}

// session holds the server's session open, as an engine does while it lives.
func session(b *testing.B, server wire.Server) (end func()) {
	over := make(chan struct{})
	opened, ended := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		ended <- server.Session(context.Background(), func() (wire.Renewal, error) {
			once.Do(func() { close(opened) })
			<-over
			return wire.Renewal{}, io.EOF
		}, func(wire.LeaseEvent) error { return nil })
	}()
	<-opened
	return func() {
		close(over)
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

func failure(text string) error {
	if text == "" {
		return nil
	}
	return fmt.Errorf("%s", text)
}

func killAll(ctx context.Context, cli *client.Client, ids []string, concurrency int) error {
	var group errgroup.Group
	group.SetLimit(concurrency)
	for _, id := range ids {
		group.Go(func() error { return cli.ContainerKill(ctx, id, "SIGKILL") })
	}
	return group.Wait()
}

func startAll(ctx context.Context, e *engine, ids []string, concurrency int) error {
	var group errgroup.Group
	group.SetLimit(concurrency)
	for _, id := range ids {
		group.Go(func() error {
			_, err := e.startAgain(ctx, life{Container: id, Name: id})
			return err
		})
	}
	return group.Wait()
}
