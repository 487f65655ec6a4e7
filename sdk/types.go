package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// faultRunner is a Fault with its types erased: configurations and undo records are
// JSON. It works on one target.
type faultRunner interface {
	check(config []byte) error
	prepare(ctx context.Context, c PrepareTarget, config []byte) (wire.Prepared, error)
	inject(ctx context.Context, config, undo []byte) error
	renews() bool
	renew(ctx context.Context, undo []byte, ttl time.Duration) error
	observe(ctx context.Context, config, undo []byte) (Effect, error)
	revert(ctx context.Context, undo []byte) (Reverted, error)
	scan(ctx context.Context, known []wire.Known) ([]Residue, error)
}

const defaultConcurrency = 16

func (f Fault[C, U]) describe() (schema.Fault, error) {
	body, err := bodyOf[C]()
	if err != nil {
		return schema.Fault{}, fmt.Errorf("fault %s: %w", f.Type, err)
	}
	if f.Prepare == nil || f.Inject == nil || f.Observe == nil || f.Revert == nil || f.Scan == nil {
		return schema.Fault{}, fmt.Errorf("fault %s: needs Prepare, Inject, Observe, Revert and Scan", f.Type)
	}
	if f.Hold == "" || f.Reversibility == "" || f.RevertTime <= 0 || len(f.Accepts) == 0 {
		return schema.Fault{}, fmt.Errorf("fault %s: needs Accepts, Hold, Reversibility and RevertTime", f.Type)
	}
	if !slices.Contains([]schema.Hold{HoldKernel, HoldTarget, HoldProcess, HoldJournal}, f.Hold) {
		return schema.Fault{}, fmt.Errorf("fault %s: there is no hold %q", f.Type, f.Hold)
	}
	if f.Renew != nil && f.Hold != HoldKernel && f.Hold != HoldTarget {
		return schema.Fault{}, fmt.Errorf("fault %s: has Renew, but nothing that ends by itself: its hold is %s", f.Type, f.Hold)
	}
	if !slices.Contains([]schema.Reversibility{Reversible, SelfHealing, Irreversible}, f.Reversibility) {
		return schema.Fault{}, fmt.Errorf("fault %s: there is no reversibility %q", f.Type, f.Reversibility)
	}
	concurrency := f.Concurrency
	if concurrency <= 0 {
		concurrency = defaultConcurrency
	}
	return schema.Fault{
		Type: f.Type, Doc: f.Doc, Config: body, Accepts: f.Accepts, Hold: f.Hold, Reversibility: f.Reversibility,
		Requires: f.Requires, Capabilities: f.Capabilities, SettleMS: f.Settle.Milliseconds(), RevertMS: f.RevertTime.Milliseconds(), Concurrency: concurrency,
		Example: f.Example,
	}, nil
}

// config decodes and checks a configuration.
func (f Fault[C, U]) config(raw []byte) (C, error) {
	return checked(raw, f.Check)
}

func (f Fault[C, U]) check(raw []byte) (err error) {
	defer recovered(&err)
	_, err = f.config(raw)
	return err
}

func undoOf[U any](raw []byte) (U, error) {
	var u U
	if err := json.Unmarshal(raw, &u); err != nil {
		return u, fmt.Errorf("decode undo record: %w", err)
	}
	return u, nil
}

func (f Fault[C, U]) prepare(ctx context.Context, t PrepareTarget, config []byte) (out wire.Prepared, err error) {
	defer recovered(&err)
	c, err := f.config(config)
	if err != nil {
		return out, err
	}
	p, err := f.Prepare(ctx, t, c)
	if err != nil {
		return out, err
	}
	undo, err := json.Marshal(p.Undo)
	if err != nil {
		return out, fmt.Errorf("encode undo record: %w", err)
	}
	return wire.Prepared{Target: t.ID, Undo: undo, Incarnation: p.Incarnation, Resources: p.Resources}, nil
}

func (f Fault[C, U]) inject(ctx context.Context, config, undo []byte) (err error) {
	defer recovered(&err)
	c, err := f.config(config)
	if err != nil {
		return err
	}
	u, err := undoOf[U](undo)
	if err != nil {
		return err
	}
	return f.Inject(ctx, c, u)
}

func (f Fault[C, U]) renews() bool { return f.Renew != nil }

func (f Fault[C, U]) renew(ctx context.Context, undo []byte, ttl time.Duration) (err error) {
	defer recovered(&err)
	u, err := undoOf[U](undo)
	if err != nil {
		return err
	}
	return f.Renew(ctx, u, ttl)
}

func (f Fault[C, U]) observe(ctx context.Context, config, undo []byte) (e Effect, err error) {
	defer recovered(&err)
	c, err := f.config(config)
	if err != nil {
		return e, err
	}
	u, err := undoOf[U](undo)
	if err != nil {
		return e, err
	}
	return f.Observe(ctx, c, u)
}

func (f Fault[C, U]) revert(ctx context.Context, undo []byte) (r Reverted, err error) {
	defer recovered(&err)
	u, err := undoOf[U](undo)
	if err != nil {
		return r, err
	}
	return f.Revert(ctx, u)
}

func (f Fault[C, U]) scan(ctx context.Context, known []wire.Known) (out []Residue, err error) {
	defer recovered(&err)
	var typed []Known[U]
	for _, k := range known {
		for _, t := range k.Targets {
			u, err := undoOf[U](t.Undo)
			if err != nil {
				return nil, err
			}
			typed = append(typed, Known[U]{Fault: k.Fault, Target: t.Target, Undo: u})
		}
	}
	return f.Scan(ctx, typed)
}

func (p Probe[C]) describe() (schema.Probe, error) {
	body, err := bodyOf[C]()
	if err != nil {
		return schema.Probe{}, fmt.Errorf("probe %s: %w", p.Type, err)
	}
	if p.Open == nil {
		return schema.Probe{}, fmt.Errorf("probe %s: needs Open", p.Type)
	}
	for _, a := range p.Sample {
		if a.Type != "string" && a.Type != "number" && a.Type != "bool" {
			return schema.Probe{}, fmt.Errorf("probe %s: sample.%s is a %q; a sample has strings, numbers and bools", p.Type, a.Name, a.Type)
		}
		if slices.ContainsFunc(schema.SampleCore, func(core schema.Attribute) bool { return core.Name == a.Name }) {
			return schema.Probe{}, fmt.Errorf("probe %s: every sample has %s already", p.Type, a.Name)
		}
	}
	return schema.Probe{Type: p.Type, Doc: p.Doc, Config: body, Sample: p.Sample, Example: p.Example, Capabilities: p.Capabilities}, nil
}

func (p Probe[C]) open(ctx context.Context, config []byte) (measure func(context.Context) Sample, done func(), err error) {
	defer recovered(&err)
	c, err := checked(config, p.Check)
	if err != nil {
		return nil, nil, err
	}
	return p.Open(ctx, c)
}

func (p Probe[C]) check(config []byte) (err error) {
	defer recovered(&err)
	_, err = checked(config, p.Check)
	return err
}

// checked decodes a configuration, and has its author's check look at it.
func checked[C any](raw []byte, check func(C) error) (C, error) {
	c, err := decode[C](raw)
	if err == nil && check != nil {
		err = check(c)
	}
	return c, err
}

func (a Action[C]) describe() (schema.Action, error) {
	body, err := bodyOf[C]()
	if err != nil {
		return schema.Action{}, fmt.Errorf("action %s: %w", a.Type, err)
	}
	if a.Do == nil {
		return schema.Action{}, fmt.Errorf("action %s: needs Do", a.Type)
	}
	return schema.Action{Type: a.Type, Doc: a.Doc, Config: body, Example: a.Example, Capabilities: a.Capabilities}, nil
}

func (a Action[C]) do(ctx context.Context, config []byte) (detail string, err error) {
	defer recovered(&err)
	c, err := checked(config, a.Check)
	if err != nil {
		return "", err
	}
	return a.Do(ctx, c)
}

func (a Action[C]) check(config []byte) (err error) {
	defer recovered(&err)
	_, err = checked(config, a.Check)
	return err
}

func (t Target[M]) describe() (schema.Target, error) {
	body, err := bodyOf[M]()
	if err != nil {
		return schema.Target{}, fmt.Errorf("target %s: %w", t.Type, err)
	}
	if t.Discover == nil {
		return schema.Target{}, fmt.Errorf("target %s: needs Discover", t.Type)
	}
	return schema.Target{Type: t.Type, Doc: t.Doc, Match: body, Interfaces: t.Interfaces, Attributes: t.Attributes, Example: t.Example, Capabilities: t.Capabilities}, nil
}

func (t Target[M]) discover(ctx context.Context, match []byte) (out []Candidate, err error) {
	defer recovered(&err)
	m, err := checked(match, t.Check)
	if err != nil {
		return nil, err
	}
	out, err = t.Discover(ctx, m)
	for i := range out {
		out[i].Kind, out[i].Interfaces = t.Type, t.Interfaces
	}
	return out, err
}

func (t Target[M]) check(match []byte) (err error) {
	defer recovered(&err)
	_, err = checked(match, t.Check)
	return err
}

// gone says whether an author's error means that the target is gone.
func gone(err error) bool { return errors.Is(err, ErrGone) }

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func now() time.Time { return time.Now().UTC() }
