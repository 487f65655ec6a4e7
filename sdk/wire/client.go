package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire/internal/pb"
)

// Client is the engine's end of a plugin's connection. It may be used by many
// goroutines.
type Client struct{ rpc pb.PluginClient }

// NewClient uses a connection that the caller keeps and closes.
func NewClient(c grpc.ClientConnInterface) *Client { return NewWatchedClient(c, nil) }

// NewWatchedClient is NewClient with a look at every call. watch is called by the
// goroutines that make the calls, and must be quick; nil: nobody looks.
func NewWatchedClient(c grpc.ClientConnInterface, watch func(Call)) *Client {
	return &Client{rpc: pb.NewPluginClient(conn{c, watch})}
}

// Describe asks what the plugin offers.
func (c *Client) Describe(ctx context.Context) (*schema.Description, error) {
	r, err := c.rpc.Describe(ctx, &pb.DescribeRequest{})
	if err != nil {
		return nil, plain(err)
	}
	d := new(schema.Description)
	if err := json.Unmarshal(r.DescriptionJson, d); err != nil {
		return nil, fmt.Errorf("decode the plugin's description: %w", err)
	}
	if d.Format > schema.Version {
		return nil, fmt.Errorf("the plugin's description has format %d, newer than this faultline reads (%d): upgrade faultline", d.Format, schema.Version)
	}
	return d, nil
}

// Configure gives the plugin its settings and run. Its error is an *Invalid when the
// plugin refuses settings and says which.
func (c *Client) Configure(ctx context.Context, q Configure) error {
	r, err := c.rpc.Configure(ctx, &pb.ConfigureRequest{SettingsJson: q.Settings, Run: q.Run, RunDir: q.RunDir, TakesProblems: true})
	if err != nil {
		return plain(err)
	}
	if len(r.Problems) > 0 {
		return Refused(problemsFrom(r.Problems))
	}
	return nil
}

// Discover lists the candidates that a match finds.
func (c *Client) Discover(ctx context.Context, typ string, match json.RawMessage) ([]schema.Candidate, error) {
	stream, err := c.rpc.Discover(ctx, &pb.DiscoverRequest{Type: typ, MatchJson: match})
	if err != nil {
		return nil, plain(err)
	}
	var out []schema.Candidate
	err = each(stream, func(m *pb.Candidates) error {
		for _, raw := range m.CandidateJson {
			var x schema.Candidate
			if err := json.Unmarshal(raw, &x); err != nil {
				return fmt.Errorf("decode a candidate: %w", err)
			}
			out = append(out, x)
		}
		return nil
	})
	return out, err
}

// Prepare returns one result a target, in any order.
func (c *Client) Prepare(ctx context.Context, q Prepare) ([]Prepared, error) {
	req := &pb.PrepareRequest{Type: q.Type, ConfigJson: q.Config, AcceptIrreversible: q.AcceptIrreversible}
	for _, t := range q.Targets {
		raw, err := json.Marshal(t)
		if err != nil {
			return nil, fmt.Errorf("encode candidate %s: %w", t.Name, err)
		}
		req.CandidateJson = append(req.CandidateJson, raw)
	}
	stream, err := c.rpc.Prepare(ctx, req)
	if err != nil {
		return nil, plain(err)
	}
	return collect(stream, func(m *pb.PrepareResult) Prepared {
		return Prepared{Target: m.Target, Undo: m.UndoJson, Incarnation: m.Incarnation, Resources: m.Resources, Gone: m.Gone, Err: m.Error, Problems: problemsFrom(m.Problems)}
	})
}

// Inject returns the results that came; with an error, targets without a result
// may be injected or not.
func (c *Client) Inject(ctx context.Context, q Inject) ([]Injected, error) {
	stream, err := c.rpc.Inject(ctx, &pb.InjectRequest{
		Lease: leaseTo(q.Lease), Type: q.Type, ConfigJson: q.Config, Targets: undosTo(q.Targets),
		LeaseMs: q.TTL.Milliseconds(), HardEndMs: q.HardEnd.Milliseconds(),
	})
	if err != nil {
		return nil, plain(err)
	}
	return collect(stream, func(m *pb.InjectResult) Injected {
		return Injected{Target: m.Target, Err: m.Error, Gone: m.Gone, At: timeFrom(m.AtUnixNs)}
	})
}

// Observe returns one result a target, in any order.
func (c *Client) Observe(ctx context.Context, q Observe) ([]Observed, error) {
	stream, err := c.rpc.Observe(ctx, &pb.ObserveRequest{Type: q.Type, ConfigJson: q.Config, Targets: undosTo(q.Targets)})
	if err != nil {
		return nil, plain(err)
	}
	return collect(stream, func(m *pb.ObserveResult) Observed {
		return Observed{Target: m.Target, Err: m.Error, Bites: m.Bites, Ended: m.Ended, Detail: m.Detail, Measures: m.Measures, At: timeFrom(m.AtUnixNs)}
	})
}

// Revert returns the results that came; with an error, targets without a result
// are still open.
func (c *Client) Revert(ctx context.Context, q Revert) ([]Reverted, error) {
	stream, err := c.rpc.Revert(ctx, &pb.RevertRequest{Lease: leaseTo(q.Lease), Type: q.Type, By: q.By, Targets: undosTo(q.Targets), Again: q.Again})
	if err != nil {
		return nil, plain(err)
	}
	return collect(stream, func(m *pb.RevertResult) Reverted {
		return Reverted{Target: m.Target, Outcome: m.Outcome, By: m.By, Proof: m.Proof, Residue: m.Residue, Err: m.Error, At: timeFrom(m.AtUnixNs)}
	})
}

// Scan lists what of ours is still there.
func (c *Client) Scan(ctx context.Context, known []Known) ([]Finding, error) {
	req := &pb.ScanRequest{}
	for _, k := range known {
		req.Known = append(req.Known, &pb.Known{Type: k.Type, Fault: k.Fault, Targets: undosTo(k.Targets)})
	}
	stream, err := c.rpc.Scan(ctx, req)
	if err != nil {
		return nil, plain(err)
	}
	return collect(stream, func(m *pb.Finding) Finding {
		return Finding{Fault: m.Fault, Target: m.Target, Kind: m.Kind, Detail: m.Detail}
	})
}

// Session is the engine's end of the stream that holds the leases. One goroutine
// may send while another receives.
type Session struct {
	stream pb.Plugin_SessionClient
}

// Session opens the stream, and returns when the plugin has: from then on faults can
// be injected. It ends when ctx does, and the leases with it.
func (c *Client) Session(ctx context.Context) (*Session, error) {
	stream, err := c.rpc.Session(ctx)
	if err != nil {
		return nil, plain(err)
	}
	s := &Session{stream}
	if err := s.Renew(Renewal{}); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if _, err := s.Next(); err != nil { // also says why a Renew saw io.EOF
		return nil, err
	}
	return s, nil
}

// Renew sends one renewal.
func (s *Session) Renew(r Renewal) error {
	m := &pb.Renewal{Sequence: r.Sequence}
	for _, l := range r.Leases {
		m.Leases = append(m.Leases, leaseTo(l))
	}
	return plain(s.stream.Send(m))
}

// Next waits for the plugin's next event; io.EOF when the plugin ended the stream.
func (s *Session) Next() (LeaseEvent, error) {
	m, err := s.stream.Recv()
	if err != nil {
		return LeaseEvent{}, plain(err)
	}
	return LeaseEvent{Sequence: m.Sequence, Lost: m.Lost}, nil
}

// Probe calls take with each batch until ctx ends (nil), or the probe fails.
func (c *Client) Probe(ctx context.Context, q Probe, take func(Batch) error) error {
	stream, err := c.rpc.Probe(ctx, &pb.ProbeRequest{
		Type: q.Type, ConfigJson: q.Config, IntervalNs: int64(q.Interval), TimeoutNs: int64(q.Timeout), StartUnixNs: q.Start.UnixNano(),
	})
	if err != nil {
		return plain(err)
	}
	err = each(stream, func(m *pb.SampleBatch) error {
		samples, err := samplesFrom(m)
		if err != nil {
			return err
		}
		return take(Batch{Samples: samples, Complete: timeFrom(m.CompleteUnixNs)})
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Act does an action; its error is the action's own.
func (c *Client) Act(ctx context.Context, typ string, config json.RawMessage) (detail string, err error) {
	r, err := c.rpc.Act(ctx, &pb.ActRequest{Type: typ, ConfigJson: config})
	if err != nil {
		return "", plain(err)
	}
	if r.Error != "" {
		return r.Detail, errors.New(r.Error)
	}
	return r.Detail, nil
}

// each reads a stream to its end.
func each[M any](stream grpc.ServerStreamingClient[M], take func(*M) error) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return plain(err)
		}
		if err := take(m); err != nil {
			return err
		}
	}
}

func collect[M, T any](stream grpc.ServerStreamingClient[M], convert func(*M) T) ([]T, error) {
	var out []T
	err := each(stream, func(m *M) error {
		out = append(out, convert(m))
		return nil
	})
	return out, err
}

func timeFrom(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func timeTo(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
