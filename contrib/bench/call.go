package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const (
	manyCalls = 5000
	callRound = 100 // calls to the plugin, and then to the peer
)

// call measures the round trip of a call to a plugin beside one to a bare gRPC server
// in another process, over a unix socket as well.
func (b *benches) call() ([]row, error) {
	ctx := context.Background()
	p, err := b.plugin(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Close(ctx)
	echo, stop, err := b.echo()
	if err != nil {
		return nil, err
	}
	defer stop()
	plugin := func() error {
		_, err := p.Discover(ctx, p.Name, []byte("{}"))
		return err
	}
	var ours, theirs []time.Duration
	for range manyCalls / callRound {
		if ours, err = roundTrips(ours, plugin); err != nil {
			return nil, err
		}
		if theirs, err = roundTrips(theirs, func() error { return echo(ctx) }); err != nil {
			return nil, err
		}
	}
	return []row{
		{"a call to a plugin and back, p99", µs(quantile(ours, 0.99)), "bare gRPC: " + µs(quantile(theirs, 0.99)), "< 1000 µs"},
		{"  median", µs(median(ours)), "bare gRPC: " + µs(median(theirs)), ""},
	}, nil
}

func roundTrips(to []time.Duration, call func() error) ([]time.Duration, error) {
	for range callRound {
		began := time.Now()
		if err := call(); err != nil {
			return nil, err
		}
		to = append(to, time.Since(began))
	}
	return to, nil
}

func quantile(all []time.Duration, q float64) time.Duration {
	return slices.Sorted(slices.Values(all))[int(q*float64(len(all)-1))]
}

func µs(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d)/1e3) }

// echo starts this program as a server of gRPC's own health check, and returns a call
// to it.
func (b *benches) echo() (call func(context.Context) error, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	socket := filepath.Join(b.dir, "echo")
	cmd := exec.Command(self, "-echo", socket)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // whose end ends it, also when this program is killed
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end := func() {
		in.Close()
		cmd.Wait()
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		end()
		return nil, nil, fmt.Errorf("start the peer: %w", err)
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		end()
		return nil, nil, err
	}
	client := grpc_health_v1.NewHealthClient(conn)
	return func(ctx context.Context) error {
		_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err
	}, func() { conn.Close(); end() }, nil
}

// serveEcho is that server.
func serveEcho(socket string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.Stop()
	}()
	fmt.Println("ready")
	return s.Serve(l)
}
