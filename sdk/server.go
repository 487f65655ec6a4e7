package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

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
// main; tests that run a plugin inside their own process call it themselves, and
// call the server's Close(context.Context) error when they are done: it puts back
// what is still held.
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
	s.leases = newLeases(s)
	return s, nil
}

// Close puts everything back that the plugin holds, and refuses to inject any more.
func (s *server) Close(ctx context.Context) error { return s.leases.close(ctx) }

func (s *server) Describe(context.Context) (*schema.Description, error) { return s.desc, nil }

func (s *server) Configure(ctx context.Context, q wire.Configure) error {
	s.mu.Lock()
	next := q.Run != s.run
	s.mu.Unlock()
	if err := s.leases.free(next); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	s.mu.Lock()
	s.run, s.dir = q.Run, arbiter.Dir(q.RunDir)
	s.mu.Unlock()
	if s.plugin.Settings.apply == nil {
		return nil
	}
	err := s.configure(context.WithValue(ctx, runKey{}, q.Run), q.Settings)
	if attributed(err) {
		return &wire.Invalid{Text: err.Error(), Problems: problemsOf(err)}
	}
	return err
}

func (s *server) configure(ctx context.Context, settings []byte) (err error) {
	defer recovered(&err)
	return s.plugin.Settings.apply(ctx, settings)
}

// Validate looks at configurations: what their tags say, and what the author's checks do.
func (s *server) Validate(_ context.Context, all []wire.Configuration) ([][]wire.Problem, error) {
	out := make([][]wire.Problem, len(all))
	for i, c := range all {
		check, err := s.checker(c.Kind, c.Type)
		if err != nil {
			return nil, err
		}
		out[i] = problemsOf(check(c.Config))
	}
	return out, nil
}

// checker finds what looks at the configurations of a type.
func (s *server) checker(kind, typ string) (check func([]byte) error, err error) {
	switch kind {
	case "fault":
		f, err := lookup(s.faults, kind, typ)
		if err != nil {
			return nil, err
		}
		return f.check, nil
	case "probe":
		p, err := lookup(s.probes, kind, typ)
		if err != nil {
			return nil, err
		}
		return p.check, nil
	case "action":
		a, err := lookup(s.actions, kind, typ)
		if err != nil {
			return nil, err
		}
		return a.check, nil
	case "target":
		t, err := lookup(s.targets, kind, typ)
		if err != nil {
			return nil, err
		}
		return t.check, nil
	case "settings":
		if s.plugin.Settings.check == nil {
			return func([]byte) error { return nil }, nil
		}
		return s.plugin.Settings.check, nil
	}
	return nil, fmt.Errorf("validate: there is no kind %q", kind)
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
	return t.discover(logging(ctx, typ, ""), match)
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
		p, err := f.prepare(logging(ctx, q.Type, c.ID), PrepareTarget{Candidate: c, AcceptIrreversible: q.AcceptIrreversible}, q.Config)
		if err != nil {
			out := wire.Prepared{Target: c.ID, Err: err.Error(), Gone: gone(err)}
			if attributed(err) {
				out.Problems = problemsOf(err)
			}
			return out
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
	var unclear atomic.Bool
	defer func() { l.injected(unclear.Load()) }()
	return fanOut(q.Targets, f.desc.Concurrency, func(u wire.Undo) wire.Injected {
		if err := context.Cause(ctx); err != nil {
			return wire.Injected{Target: u.Target, Err: "not injected: " + err.Error(), At: now()}
		}
		err := f.inject(logging(WithLease(ctx, leaseOf(q)), q.Type, u.Target), q.Config, u.Undo)
		if err != nil && !gone(err) || ctx.Err() != nil {
			unclear.Store(true)
		}
		return wire.Injected{Target: u.Target, Err: textOf(err), Gone: gone(err), At: now()}
	}, send)
}

// fenced refuses an engine that has been replaced, and a run that is not ours. It
// fails closed: without a readable epoch nothing is injected.
func (s *server) fenced(l wire.Lease) error {
	s.mu.Lock()
	run, dir := s.run, s.dir
	s.mu.Unlock()
	if run != "" && l.Run != run {
		return fmt.Errorf("fault %s: nothing was injected: it is of run %q, the plugin was configured for %q", l.Fault, l.Run, run)
	}
	if dir == "" {
		return nil
	}
	epoch, err := dir.Epoch()
	if err != nil {
		return fmt.Errorf("fault %s: nothing was injected: %w", l.Fault, err)
	}
	if l.Epoch != epoch {
		return fmt.Errorf("fault %s: nothing was injected: the run has moved on to epoch %d, this engine has %d", l.Fault, epoch, l.Epoch)
	}
	return nil
}

// overtaken says whether a newer engine has taken the run over. A lease outlives an
// epoch that cannot be read: the engine's next renewal asks again.
func (s *server) overtaken(l wire.Lease) bool {
	dir := s.runDir()
	if dir == "" {
		return false
	}
	epoch, err := dir.Epoch()
	return err == nil && epoch > l.Epoch
}

func (s *server) Observe(ctx context.Context, q wire.Observe, send func(wire.Observed) error) error {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return err
	}
	return fanOut(q.Targets, f.desc.Concurrency, func(u wire.Undo) wire.Observed {
		e, err := f.observe(logging(ctx, q.Type, u.Target), q.Config, u.Undo)
		return wire.Observed{
			Target: u.Target, Err: textOf(err), Bites: e.Bites, Ended: e.Ended,
			Detail: e.Detail, Measures: e.Measures, At: now(),
		}
	}, send)
}

// Scan asks every fault type; one that cannot look does not hide what the others see.
func (s *server) Scan(ctx context.Context, known []wire.Known, send func(wire.Finding) error) error {
	byType := map[string][]wire.Known{}
	var blind []error
	for _, k := range known {
		if _, err := lookup(s.faults, "fault", k.Type); err != nil {
			blind = append(blind, fmt.Errorf("scan for fault %s: %w", k.Fault, err))
			continue
		}
		byType[k.Type] = append(byType[k.Type], k)
	}
	tell := func(what string, found []Residue, err error) error {
		if err != nil {
			blind = append(blind, fmt.Errorf("scan for %s: %w", what, err))
		}
		for _, r := range found {
			if err := send(wire.Finding{Fault: r.Fault, Target: r.Target, Kind: r.Kind, Detail: r.Detail}); err != nil {
				return err
			}
		}
		return nil
	}
	for _, d := range s.desc.Faults {
		found, err := s.faults[d.Type].scan(logging(ctx, d.Type, ""), byType[d.Type])
		if err := tell(d.Type, found, err); err != nil {
			return err
		}
	}
	if s.plugin.Scan != nil {
		var records []json.RawMessage
		for _, k := range known {
			for _, u := range k.Targets {
				records = append(records, u.Undo)
			}
		}
		found, err := s.plugin.Scan(ctx, records)
		if err := tell("what nobody knows of", found, err); err != nil {
			return err
		}
	}
	return errors.Join(blind...)
}

func (s *server) Act(ctx context.Context, typ string, config json.RawMessage) (string, error) {
	a, err := lookup(s.actions, "action", typ)
	if err != nil {
		return "", err
	}
	return a.do(logging(ctx, typ, ""), config)
}

func (s *server) Session(ctx context.Context, recv func() (wire.Renewal, error), send func(wire.LeaseEvent) error) error {
	return s.leases.session(ctx, recv, send)
}

func (s *server) Probe(ctx context.Context, q wire.Probe, send func(wire.Batch) error) error {
	p, err := lookup(s.probes, "probe", q.Type)
	if err != nil {
		return err
	}
	if q.Interval <= 0 || q.Timeout <= 0 {
		return fmt.Errorf("probe %s: needs an interval and a timeout above zero", q.Type)
	}
	measure, done, err := p.open(logging(ctx, q.Type, ""), q.Config)
	if err != nil {
		return err
	}
	if done != nil {
		defer done()
	}
	return openLoop(logging(ctx, q.Type, ""), q, measure, send)
}
