package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/arbiter"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Run is the name of the run that the kit configures plugins for, in epoch 1.
const Run = "plugintest"

// closing is how long a plugin may take to be configured, and to put everything back at
// the end of a test.
const closing = 15 * time.Second

// Lease names a fault of the kit's run.
func Lease(fault string) wire.Lease { return wire.Lease{Run: Run, Fault: fault, Epoch: 1} }

// Option changes how Client serves a plugin.
type Option func(*options)

type options struct {
	settings any
	dir      arbiter.Dir
	closing  time.Duration
	counted  bool // the process answers to a counter
}

// WithSettings gives the plugin's settings: a struct or map that encoding/json turns
// into the arguments of the `plugin` block, or the JSON text itself.
func WithSettings(settings any) Option { return func(o *options) { o.settings = settings } }

// WithRunDir uses an existing run folder, which arbiter.Dir.Make has made, in the
// place of a new one.
func WithRunDir(dir string) Option { return func(o *options) { o.dir = arbiter.Dir(dir) } }

// Client serves a plugin inside the test's own process and returns the engine's end
// of it. The connection is in memory, everything else is real: the plugin is
// configured with a run folder of its own, and a session is open, so that faults of
// leases made by Lease can be injected. When the test ends, whatever it still holds
// is put back; the test fails if it cannot be.
func Client(t testing.TB, p sdk.Plugin, opts ...Option) *wire.Client {
	t.Helper()
	return serveHere(t, p, opts...).Client
}

// here is a plugin in this process.
type here struct {
	*wire.Client
	server wire.Server // nil: it is in a process of its own after all
}

func serveHere(t testing.TB, p sdk.Plugin, opts ...Option) *here {
	t.Helper()
	o := configured(t, opts)
	server, err := sdk.NewServer(p)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(wire.MaxMessage))
	wire.Register(g, server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:plugin", append(dialOptions(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	client := wire.NewClient(conn)
	ctx, hangUp := context.WithCancel(context.Background())
	t.Cleanup(func() {
		hangUp()
		done, cancel := context.WithTimeout(context.Background(), patient(o.closing))
		defer cancel()
		if err := server.(interface{ Close(context.Context) error }).Close(done); err != nil {
			t.Errorf("the plugin could not put everything back at the end of the test: %v", err)
		}
		conn.Close()
		g.Stop()
		<-served
	})
	configure(t, client, o)
	if _, err := client.Session(ctx); err != nil {
		t.Fatalf("open a session: %v", err)
	}
	return &here{client, server}
}

func configured(t testing.TB, opts []Option) options {
	t.Helper()
	o := options{closing: closing}
	for _, set := range opts {
		set(&o)
	}
	if o.dir == "" {
		o.dir = runDir(t)
	}
	return o
}

func runDir(t testing.TB) arbiter.Dir {
	t.Helper()
	dir := arbiter.Dir(t.TempDir())
	if err := dir.Make(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func configure(t testing.TB, client *wire.Client, o options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient(closing))
	defer cancel()
	if err := client.Configure(ctx, wire.Configure{Settings: asJSON(t, o.settings), Run: Run, RunDir: string(o.dir)}); err != nil {
		t.Fatalf("configure the plugin: %v", err)
	}
}

func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage)),
	}
}

// asJSON takes a configuration as its author likes to write it.
func asJSON(t testing.TB, v any) json.RawMessage {
	t.Helper()
	switch v := v.(type) {
	case nil:
		return json.RawMessage(`{}`)
	case string:
		return json.RawMessage(v)
	case []byte:
		return v
	case json.RawMessage:
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(fmt.Errorf("encode a configuration: %w", err))
	}
	return raw
}

// direct calls a plugin in this process with no connection between, so that a call
// returns when the plugin does. What it answers is of no interest.
type direct struct{ server wire.Server }

func (d direct) Prepare(ctx context.Context, q wire.Prepare) ([]wire.Prepared, error) {
	return nil, d.server.Prepare(ctx, q, func(wire.Prepared) error { return nil })
}

func (d direct) Inject(ctx context.Context, q wire.Inject) ([]wire.Injected, error) {
	return nil, d.server.Inject(ctx, q, func(wire.Injected) error { return nil })
}

func (d direct) Observe(ctx context.Context, q wire.Observe) ([]wire.Observed, error) {
	return nil, d.server.Observe(ctx, q, func(wire.Observed) error { return nil })
}

func (d direct) Revert(ctx context.Context, q wire.Revert) ([]wire.Reverted, error) {
	return nil, d.server.Revert(ctx, q, func(wire.Reverted) error { return nil })
}

func (d direct) Scan(ctx context.Context, known []wire.Known) ([]wire.Finding, error) {
	return nil, d.server.Scan(ctx, known, func(wire.Finding) error { return nil })
}
