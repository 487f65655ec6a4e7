package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/faultline-go/faultline/sdk/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a plugin that answers with what it was asked; a type of "fail" fails.
type echo struct {
	asked      any
	err        error
	candidates []schema.Candidate
	sessionEnd chan error
}

func (e *echo) Describe(context.Context) (*schema.Description, error) {
	return &schema.Description{Format: schema.Version, Name: "echo"}, e.err
}

func (e *echo) Configure(_ context.Context, q Configure) error { e.asked = q; return e.err }

func (e *echo) Discover(_ context.Context, typ string, match json.RawMessage) ([]schema.Candidate, error) {
	e.asked = typ + string(match)
	return e.candidates, e.err
}

func (e *echo) Prepare(_ context.Context, q Prepare, send func(Prepared) error) error {
	e.asked = q
	for _, t := range q.Targets {
		if err := send(Prepared{Target: t.ID, Undo: json.RawMessage(`{"n":1}`), Incarnation: "pid 1\xff", Resources: []string{"x\xff"}, Gone: true, Err: "gone\xff"}); err != nil {
			return err
		}
	}
	return e.err
}

var at = time.Unix(1700000000, 123456789).UTC()

func (e *echo) Inject(_ context.Context, q Inject, send func(Injected) error) error {
	e.asked = q
	return errors.Join(send(Injected{Target: "a", Err: "hot", Gone: true, At: at}), e.err)
}

func (e *echo) Observe(_ context.Context, q Observe, send func(Observed) error) error {
	e.asked = q
	return errors.Join(send(Observed{Target: "a", Bites: true, Ended: true, Detail: "d", Err: "e", Measures: map[string]float64{"delay_s": 0.2}, At: at}), e.err)
}

func (e *echo) Revert(_ context.Context, q Revert, send func(Reverted) error) error {
	e.asked = q
	return errors.Join(send(Reverted{Target: "a", Outcome: OutcomeForeign, By: "x", Proof: "p", Residue: true, Err: "e", At: at}), e.err)
}

func (e *echo) Scan(_ context.Context, known []Known, send func(Finding) error) error {
	e.asked = known
	return errors.Join(send(Finding{Fault: "f", Target: "a", Kind: "marked", Detail: "d\xff"}), e.err)
}

func (e *echo) Session(ctx context.Context, recv func() (Renewal, error), send func(LeaseEvent) error) error {
	for {
		r, err := recv()
		if err != nil {
			e.sessionEnd <- err
			return e.err
		}
		event := LeaseEvent{Sequence: r.Sequence}
		for _, l := range r.Leases {
			event.Lost = append(event.Lost, l.Fault)
		}
		if err := send(event); err != nil {
			return err
		}
	}
}

func (e *echo) Probe(ctx context.Context, q Probe, send func(Batch) error) error {
	e.asked = q
	if err := send(Batch{Samples: []schema.Sample{{Scheduled: at, Latency: 0.5, Value: math.NaN(), Error: "e"}}, Complete: at.Add(1)}); err != nil {
		return err
	}
	if e.err != nil {
		return e.err
	}
	<-ctx.Done()
	return nil
}

func (e *echo) Act(_ context.Context, typ string, config json.RawMessage) (string, error) {
	e.asked = typ + string(config)
	return "done\xff", e.err
}

// connect serves a plugin over an in-memory connection.
func connect(t *testing.T, impl Server) (*Client, *grpc.Server) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer(grpc.MaxRecvMsgSize(MaxMessage))
	Register(s, impl)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		s.Stop()
		<-served
	})
	return NewClient(conn), s
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestCallsArriveWhole(t *testing.T) {
	e := &echo{}
	c, _ := connect(t, e)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	config := json.RawMessage(`{"a": 1}`)
	undos := []Undo{{Target: "a", Undo: json.RawMessage(`{"b":2}`)}}
	lease := Lease{Run: "r", Fault: "f", Epoch: 7}

	d, err := c.Describe(ctx)
	must(err)
	same(t, "description", d.Name, "echo")

	settings := Configure{Settings: config, Run: "r", RunDir: "/x"}
	must(c.Configure(ctx, settings))
	same(t, "configure", e.asked, settings)

	candidate := schema.Candidate{Kind: "k", ID: "a", Name: "n", Incarnation: "i", Interfaces: []string{"x"}, Attributes: map[string]any{"zone": "b", "n": 1.5}}
	prepare := Prepare{Type: "t", Config: config, Targets: []schema.Candidate{candidate}, AcceptIrreversible: true}
	prepared, err := c.Prepare(ctx, prepare)
	must(err)
	same(t, "prepare", e.asked, prepare)
	same(t, "prepared", prepared, []Prepared{{Target: "a", Undo: json.RawMessage(`{"n":1}`), Incarnation: "pid 1\uFFFD", Resources: []string{"x\uFFFD"}, Gone: true, Err: "gone\uFFFD"}})

	inject := Inject{Lease: lease, Type: "t", Config: config, Targets: undos, TTL: 1500 * time.Millisecond, HardEnd: time.Hour}
	injected, err := c.Inject(ctx, inject)
	must(err)
	same(t, "inject", e.asked, inject)
	same(t, "injected", injected, []Injected{{Target: "a", Err: "hot", Gone: true, At: at}})

	observe := Observe{Type: "t", Config: config, Targets: undos}
	observed, err := c.Observe(ctx, observe)
	must(err)
	same(t, "observe", e.asked, observe)
	same(t, "observed", observed, []Observed{{Target: "a", Bites: true, Ended: true, Detail: "d", Err: "e", Measures: map[string]float64{"delay_s": 0.2}, At: at}})

	revert := Revert{Lease: lease, Type: "t", By: "engine", Targets: undos, Again: true}
	reverted, err := c.Revert(ctx, revert)
	must(err)
	same(t, "revert", e.asked, revert)
	same(t, "reverted", reverted, []Reverted{{Target: "a", Outcome: OutcomeForeign, By: "x", Proof: "p", Residue: true, Err: "e", At: at}})

	known := []Known{{Type: "t", Fault: "f", Targets: undos}}
	found, err := c.Scan(ctx, known)
	must(err)
	same(t, "scan", e.asked, known)
	same(t, "found", found, []Finding{{Fault: "f", Target: "a", Kind: "marked", Detail: "d\uFFFD"}})

	detail, err := c.Act(ctx, "t", config)
	must(err)
	same(t, "act", e.asked, "t"+string(config))
	same(t, "detail", detail, "done\uFFFD")
}

func TestDiscoverInManyMessages(t *testing.T) {
	for _, n := range []int{0, 1, candidatesPerMessage, 2*candidatesPerMessage + 1} {
		e := &echo{}
		for i := range n {
			e.candidates = append(e.candidates, schema.Candidate{ID: fmt.Sprint(i), Attributes: map[string]any{}})
		}
		c, _ := connect(t, e)
		got, err := c.Discover(t.Context(), "t", json.RawMessage(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint(n, " candidates"), got, e.candidates)
	}
}

func TestErrorsArrivePlain(t *testing.T) {
	calls := map[string]func(context.Context, *Client) error{
		"describe":  func(ctx context.Context, c *Client) error { _, err := c.Describe(ctx); return err },
		"configure": func(ctx context.Context, c *Client) error { return c.Configure(ctx, Configure{}) },
		"discover":  func(ctx context.Context, c *Client) error { _, err := c.Discover(ctx, "t", nil); return err },
		"prepare":   func(ctx context.Context, c *Client) error { _, err := c.Prepare(ctx, Prepare{}); return err },
		"inject":    func(ctx context.Context, c *Client) error { _, err := c.Inject(ctx, Inject{}); return err },
		"observe":   func(ctx context.Context, c *Client) error { _, err := c.Observe(ctx, Observe{}); return err },
		"revert":    func(ctx context.Context, c *Client) error { _, err := c.Revert(ctx, Revert{}); return err },
		"scan":      func(ctx context.Context, c *Client) error { _, err := c.Scan(ctx, nil); return err },
		"act":       func(ctx context.Context, c *Client) error { _, err := c.Act(ctx, "t", nil); return err },
		"probe": func(ctx context.Context, c *Client) error {
			return c.Probe(ctx, Probe{}, func(Batch) error { return nil })
		},
	}
	for name, call := range calls {
		// A plugin's own words, also when they are those of a service behind it.
		for _, said := range []error{errors.New("no lamp \xff here"), status.Error(codes.Unavailable, "backend down")} {
			c, _ := connect(t, &echo{err: said})
			err := call(t.Context(), c)
			if err == nil || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), strings.ToValidUTF8(said.Error(), "\uFFFD")) {
				t.Errorf("%s: %v", name, err)
			}
		}
		c, s := connect(t, &echo{})
		s.Stop()
		if err := call(t.Context(), c); !errors.Is(err, ErrGone) {
			t.Errorf("%s of a plugin that is gone: %v", name, err)
		}
		if name == "probe" {
			continue // its context's end is its normal end
		}
		c, _ = connect(t, &echo{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := call(ctx, c); !errors.Is(err, context.Canceled) {
			t.Errorf("%s after its context's end: %v", name, err)
		}
	}
}

func TestResultsBeforeAnErrorArrive(t *testing.T) {
	c, _ := connect(t, &echo{err: errors.New("too hot")})
	got, err := c.Revert(t.Context(), Revert{})
	if err == nil || len(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTooNewDescription(t *testing.T) {
	c, _ := connect(t, newer{&echo{}})
	if _, err := c.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "upgrade faultline") {
		t.Errorf("got %v", err)
	}
}

type newer struct{ *echo }

func (newer) Describe(context.Context) (*schema.Description, error) {
	return &schema.Description{Format: schema.Version + 1}, nil
}

func TestProbeOverTheWire(t *testing.T) {
	e := &echo{}
	c, _ := connect(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	q := Probe{Type: "t", Config: json.RawMessage(`{}`), Interval: time.Millisecond, Timeout: time.Second, Start: time.Unix(5, 7)}
	var got []Batch
	err := c.Probe(ctx, q, func(b Batch) error {
		got = append(got, b)
		cancel()
		return nil
	})
	if err != nil || len(got) != 1 || !got[0].Complete.Equal(at.Add(1)) || got[0].Samples[0].Error != "e" || !got[0].Samples[0].Scheduled.Equal(at) {
		t.Errorf("%+v, %v", got, err)
	}
	same(t, "probe", e.asked, q)
	stop := errors.New("enough")
	if err := c.Probe(t.Context(), q, func(Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a reader that stops: %v", err)
	}
}

func TestSessionOverTheWire(t *testing.T) {
	e := &echo{sessionEnd: make(chan error, 1)}
	c, s := connect(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	session, err := c.Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		if err := session.Renew(Renewal{Sequence: i, Leases: []Lease{{Fault: "f"}, {Fault: "g"}}}); err != nil {
			t.Fatal(err)
		}
		got, err := session.Next()
		if err != nil {
			t.Fatal(err)
		}
		same(t, "event", got, LeaseEvent{Sequence: i, Lost: []string{"f", "g"}})
	}
	cancel()
	if err := <-e.sessionEnd; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the plugin saw %v", err)
	}
	if _, err := session.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("the engine saw %v", err)
	}
	session, err = c.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if _, err := session.Next(); !errors.Is(err, ErrGone) {
		t.Errorf("the engine saw %v of a plugin that is gone", err)
	}
	if _, err := c.Session(t.Context()); !errors.Is(err, ErrGone) {
		t.Errorf("a session with a plugin that is gone: %v", err)
	}
}
