package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/faultline-go/faultline/sdk/arbiter"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// server serves a Plugin over the wire.
type server struct {
	plugin  Plugin
	desc    *schema.Description
	faults  map[string]fault
	probes  map[string]ProbeType
	actions map[string]ActionType
	targets map[string]TargetType

	leases *leases

	mu  sync.Mutex
	run string
	dir arbiter.Dir
}

// fault is a fault type with its description.
type fault struct {
	FaultType
	desc schema.Fault
}

// NewServer makes the plugin's end of the wire. Serve does this for a plugin's
// main; tests that run a plugin inside their own process call it themselves.
func NewServer(p Plugin) (wire.Server, error) { return newServer(p) }

func newServer(p Plugin) (*server, error) {
	desc, err := Describe(p)
	if err != nil {
		return nil, err
	}
	s := &server{
		plugin: p, desc: desc,
		faults: map[string]fault{}, probes: map[string]ProbeType{}, actions: map[string]ActionType{}, targets: map[string]TargetType{},
	}
	for _, f := range p.Faults {
		d, _ := f.describe() // Describe has seen that there is no error
		s.faults[d.Type] = fault{f, d}
	}
	for _, x := range p.Probes {
		d, _ := x.describe()
		s.probes[d.Type] = x
	}
	for _, x := range p.Actions {
		d, _ := x.describe()
		s.actions[d.Type] = x
	}
	for _, x := range p.Targets {
		d, _ := x.describe()
		s.targets[d.Type] = x
	}
	s.leases = newLeases(s.revertAs)
	return s, nil
}

func (s *server) Describe(context.Context) (*schema.Description, error) { return s.desc, nil }

func (s *server) Configure(ctx context.Context, q wire.Configure) error {
	s.mu.Lock()
	s.run, s.dir = q.Run, arbiter.Dir(q.RunDir)
	s.mu.Unlock()
	if s.plugin.Settings.apply == nil {
		return nil
	}
	return s.configure(ctx, q.Settings)
}

func (s *server) configure(ctx context.Context, settings []byte) (err error) {
	defer recovered(&err)
	return s.plugin.Settings.apply(ctx, settings)
}

func (s *server) runDir() arbiter.Dir {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir
}

func lookup[T any](all map[string]T, what, typ string) (T, error) {
	x, ok := all[typ]
	if !ok {
		return x, fmt.Errorf("this plugin has no %s %q", what, typ)
	}
	return x, nil
}

func (s *server) Discover(ctx context.Context, typ string, match json.RawMessage) ([]schema.Candidate, error) {
	t, err := lookup(s.targets, "target", typ)
	if err != nil {
		return nil, err
	}
	return t.discover(ctx, match)
}

func (s *server) Prepare(ctx context.Context, q wire.Prepare, send func(wire.Prepared) error) error {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return err
	}
	if err := f.check(q.Config); err != nil {
		return err
	}
	return fanOut(q.Targets, f.desc.Concurrency, func(c schema.Candidate) wire.Prepared {
		p, err := f.prepare(ctx, PrepareTarget{Candidate: c, AcceptIrreversible: q.AcceptIrreversible}, q.Config)
		if err != nil {
			return wire.Prepared{Target: c.ID, Err: err.Error(), Gone: gone(err)}
		}
		return p
	}, send)
}

// Inject registers the lease first, so that whatever ends it also reverts an
// injection that is still under way.
func (s *server) Inject(ctx context.Context, q wire.Inject, send func(wire.Injected) error) error {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return err
	}
	if err := s.fenced(q.Lease); err != nil {
		return err
	}
	ctx, l, err := s.leases.begin(ctx, q)
	if err != nil {
		return err
	}
	defer l.injected()
	return fanOut(q.Targets, f.desc.Concurrency, func(u wire.Undo) wire.Injected {
		err := ctx.Err()
		if err == nil {
			err = f.inject(ctx, q.Config, u.Undo)
		}
		return wire.Injected{Target: u.Target, Err: textOf(err), Gone: gone(err), At: now()}
	}, send)
}

// fenced refuses an engine that has been replaced.
func (s *server) fenced(l wire.Lease) error {
	dir := s.runDir()
	if dir == "" {
		return nil
	}
	epoch, err := dir.Epoch()
	if err != nil {
		return err
	}
	if l.Epoch != epoch {
		return fmt.Errorf("fault %s: the run has moved on to epoch %d, this engine has %d: nothing was injected", l.Fault, epoch, l.Epoch)
	}
	return nil
}

func (s *server) Observe(ctx context.Context, q wire.Observe, send func(wire.Observed) error) error {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return err
	}
	return fanOut(q.Targets, f.desc.Concurrency, func(u wire.Undo) wire.Observed {
		e, err := f.observe(ctx, q.Config, u.Undo)
		return wire.Observed{
			Target: u.Target, Err: textOf(err), Bites: e.Bites, Ended: e.Ended,
			Detail: e.Detail, Measures: e.Measures, At: now(),
		}
	}, send)
}

// Revert ends the lease, if this process holds it, and puts back.
func (s *server) Revert(ctx context.Context, q wire.Revert, send func(wire.Reverted) error) error {
	if _, err := lookup(s.faults, "fault", q.Type); err != nil {
		return err
	}
	if err := s.leases.end(ctx, q.Lease.Fault); err != nil {
		return err
	}
	results, err := s.revertAs(ctx, q)
	for _, r := range results {
		if err := send(r); err != nil {
			return err
		}
	}
	if err == nil {
		s.leases.settled(q.Lease.Fault)
	}
	return err
}

// revertAs reverts under the fault's lock, by the arbiter's rule. Without a run
// folder there is nobody to settle it with. It returns an error when a target could
// not be put back, beside the results of all.
func (s *server) revertAs(ctx context.Context, q wire.Revert) ([]wire.Reverted, error) {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return nil, err
	}
	known := &arbiter.Outcome{Format: 1, Fault: q.Lease.Fault}
	var lock *arbiter.Lock
	if dir := s.runDir(); dir != "" {
		if lock, err = dir.Lock(ctx, q.Lease.Fault); err != nil {
			return nil, err
		}
		defer lock.Unlock()
		if known, err = lock.Outcome(); err != nil {
			return nil, err
		}
	}
	var results []wire.Reverted
	var open []wire.Undo
	for _, t := range q.Targets {
		if r, ok := known.Of(t.Target); ok && !q.Again {
			results = append(results, r)
		} else {
			open = append(open, t)
		}
	}
	var failed []error
	_ = fanOut(open, f.desc.Concurrency, func(u wire.Undo) wire.Reverted {
		return revertOne(ctx, f, u, q.By)
	}, func(r wire.Reverted) error {
		results = append(results, r)
		known.Set(r)
		if r.Outcome == wire.OutcomeFailed {
			failed = append(failed, fmt.Errorf("%s: %s", r.Target, r.Err))
		}
		return nil
	})
	if lock != nil && len(open) > 0 {
		if err := lock.Record(known); err != nil {
			// What was put back stays put back; the next one looks again.
			s.leases.warn(err)
		}
	}
	return results, errors.Join(failed...)
}

func revertOne(ctx context.Context, f fault, u wire.Undo, by string) wire.Reverted {
	r, err := f.revert(ctx, u.Undo)
	if err != nil {
		return wire.Reverted{Target: u.Target, Outcome: wire.OutcomeFailed, By: by, Residue: true, Err: err.Error(), At: now()}
	}
	return wire.Reverted{Target: u.Target, Outcome: string(r.Outcome), By: by, Proof: r.Proof, Residue: r.Residue, At: now()}
}

func (s *server) Scan(ctx context.Context, known []wire.Known, send func(wire.Finding) error) error {
	byType := map[string][]wire.Known{}
	for _, k := range known {
		byType[k.Type] = append(byType[k.Type], k)
	}
	for _, d := range s.desc.Faults {
		found, err := s.faults[d.Type].scan(ctx, byType[d.Type])
		if err != nil {
			return fmt.Errorf("scan for %s: %w", d.Type, err)
		}
		for _, r := range found {
			if err := send(wire.Finding{Fault: r.Fault, Target: r.Target, Kind: r.Kind, Detail: r.Detail}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *server) Act(ctx context.Context, typ string, config json.RawMessage) (string, error) {
	a, err := lookup(s.actions, "action", typ)
	if err != nil {
		return "", err
	}
	return a.do(ctx, config)
}

func (s *server) Session(ctx context.Context, recv func() (wire.Renewal, error), send func(wire.LeaseEvent) error) error {
	return s.leases.session(ctx, recv, send)
}

func (s *server) Probe(ctx context.Context, q wire.Probe, send func(wire.Batch) error) error {
	p, err := lookup(s.probes, "probe", q.Type)
	if err != nil {
		return err
	}
	measure, done, err := p.open(ctx, q.Config)
	if err != nil {
		return err
	}
	if done != nil {
		defer done()
	}
	return openLoop(ctx, q, measure, send)
}
