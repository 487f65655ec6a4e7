package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

const (
	lease  = 3 * time.Second // the shortest there is
	settle = 2 * time.Second
)

type (
	config struct{}
	undo   struct {
		Lamp   string
		Serial int
	}
)

// plugin is what a process serves: faults that switch lamps off or turn them red, each
// written as an author would, and with everything that can be wrong with one.
func (p *process) plugin() sdk.Plugin {
	return sdk.Plugin{
		Name: "lamp", Version: "1.0.0",
		Faults: []sdk.FaultType{p.fault("lamp_off"), p.fault("lamp_red")},
		Probes: []sdk.ProbeType{sdk.Probe[struct{}]{
			Type: "lamp", Doc: "Looks for light.",
			Open: func(context.Context, struct{}) (func(context.Context) sdk.Sample, func(), error) {
				return p.sample, nil, nil
			},
		}},
	}
}

func (p *process) fault(typ string) sdk.Fault[config, undo] {
	return sdk.Fault[config, undo]{
		Type: typ, Doc: "Does something to lamps.", Accepts: []schema.Accept{{Interface: "lamp"}},
		Hold: sdk.HoldJournal, Reversibility: sdk.Reversible, RevertTime: time.Second, Settle: settle,
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, _ config) (sdk.Prepared[undo], error) {
			return p.prepare(ctx, typ, t.ID)
		},
		Inject:  func(ctx context.Context, _ config, u undo) error { return p.inject(ctx, typ, u) },
		Observe: func(ctx context.Context, _ config, u undo) (sdk.Effect, error) { return p.observe(ctx, typ, u) },
		Revert:  func(ctx context.Context, u undo) (sdk.Reverted, error) { return p.revert(ctx, typ, u) },
		Scan: func(ctx context.Context, known []sdk.Known[undo]) ([]sdk.Residue, error) {
			return p.scan(ctx, typ, known)
		},
	}
}

func (p *process) sample(ctx context.Context) sdk.Sample {
	if pass(ctx, 2*time.Millisecond) != nil {
		return sdk.Bad("timeout")
	}
	return sdk.Good()
}

func (p *process) prepare(ctx context.Context, typ, name string) (out sdk.Prepared[undo], err error) {
	if err := p.works(ctx); err != nil {
		return out, err
	}
	if p.w.strikes(prepareFails, 0.5) {
		return out, errors.New("there is no ladder")
	}
	p.w.with(name, func(l *lamp) {
		switch {
		case l.gone:
			err = fmt.Errorf("look at lamp %s: %w", name, sdk.ErrGone)
		case l.effects[typ] != nil:
			err = fmt.Errorf("lamp %s is that way already", name)
		}
		out = sdk.Prepared[undo]{Undo: undo{name, l.serial}, Incarnation: fmt.Sprint(l.serial), Resources: []string{"lamp:" + name + "/" + typ}}
	})
	return out, err
}

func (p *process) inject(ctx context.Context, typ string, u undo) error {
	if err := p.works(ctx); err != nil {
		return err
	}
	w := p.w
	w.mu.Lock()
	f := w.latest(p.run, typ, u.Lamp)
	ended, known := p.ended[f.id]
	w.mu.Unlock()
	if known && ended.Before(time.Now()) {
		w.violates("%s of %s is injected after its revert", f.id, f.run)
	}
	var there bool
	w.with(u.Lamp, func(l *lamp) { there = !l.gone && l.serial == u.Serial })
	switch {
	case !there:
		return fmt.Errorf("lamp %s: %w", u.Lamp, sdk.ErrGone)
	case w.strikes(injectFails, 0.6):
		return errors.New("the switch is glued")
	case w.strikes(injectHalfway, 0.6):
		w.takesEffect(f, u, true)
		return errors.New("it went dark half-way")
	case w.strikes(injectLands, 0.6):
		late := w.within("landing", settle)
		w.after(w.now()+late, func() { w.takesEffect(f, u, false) }) // whoever is dead by then
		return errors.New("the switch gave no answer")
	}
	if err := p.tarries(ctx); err != nil {
		return err
	}
	w.takesEffect(f, u, false)
	return nil
}

// tarries takes longer than it should, if that is the world's trouble.
func (p *process) tarries(ctx context.Context) error {
	if p.w.strikes(answersLate, 0.4) {
		if err := pass(ctx, p.w.within("tarrying", 8*time.Second)); err != nil {
			return err
		}
	}
	return p.works(ctx)
}

func (p *process) observe(ctx context.Context, typ string, u undo) (e sdk.Effect, err error) {
	if err := p.works(ctx); err != nil {
		return e, err
	}
	w := p.w
	w.mu.Lock()
	f := w.latest(p.run, typ, u.Lamp)
	acted := f != nil && !f.on.IsZero()
	w.mu.Unlock()
	w.with(u.Lamp, func(l *lamp) {
		on := l.effects[typ] != nil && l.serial == u.Serial
		e = sdk.Effect{Bites: on || acted, Ended: acted && !on, Detail: fmt.Sprint(on)}
	})
	if w.strikes(observeLies, 0.7) {
		e = sdk.Effect{Bites: !e.Bites}
	}
	return e, nil
}

func (p *process) revert(ctx context.Context, typ string, u undo) (out sdk.Reverted, err error) {
	suspended := p.isHung()
	if err := p.works(ctx); err != nil {
		return out, err
	}
	if suspended {
		return out, errors.New("it was suspended, and did not have the lock")
	}
	w := p.w
	if w.isOver() {
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "nobody looks any more"}, nil
	}
	w.mu.Lock()
	if f := w.latest(p.run, typ, u.Lamp); f != nil && f.reverting.IsZero() {
		f.reverting = time.Now()
	}
	w.mu.Unlock()
	if w.fate.has(revertStuck) && u.Lamp == w.fate.target {
		w.happens(string(revertStuck))
		return out, errors.New("the switch is stuck")
	}
	if w.strikes(revertFails, 0.5) {
		return out, errors.New("the switch slipped")
	}
	if err := p.tarries(ctx); err != nil {
		return out, err
	}
	lies := w.strikes(revertLies, 0.7)
	out = sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "it shines"}
	w.with(u.Lamp, func(l *lamp) {
		switch e := l.effects[typ]; {
		case e == nil || l.serial != u.Serial:
		case e.foreign:
			out = sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "somebody else wants it so", Residue: true}
		case lies:
			out = sdk.Reverted{Outcome: sdk.PutBack, Proof: "trust me"}
		default:
			delete(l.effects, typ)
			out = sdk.Reverted{Outcome: sdk.PutBack, Proof: "it shines"}
		}
	})
	w.say("    %s put back on %s by %s: %s", typ, u.Lamp, p.name, out.Outcome)
	return out, nil
}

func (p *process) scan(ctx context.Context, typ string, known []sdk.Known[undo]) (out []sdk.Residue, err error) {
	if err := p.works(ctx); err != nil {
		return nil, err
	}
	if p.w.strikes(scanFails, 0.5) {
		return nil, errors.New("too dark to see")
	}
	for _, k := range known {
		p.w.with(k.Undo.Lamp, func(l *lamp) {
			if l.effects[typ] != nil && l.serial == k.Undo.Serial {
				out = append(out, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches, Detail: "it still is"})
			}
		})
	}
	return out, nil
}

// happensToTarget is what others do to a lamp.
func (w *world) happensToTarget(what trouble) {
	name := w.fate.target
	if w.isOver() {
		return
	}
	w.say("%s: %s", what, name)
	hit := true
	w.with(name, func(l *lamp) {
		types := []string{"lamp_off", "lamp_red"}
		switch what {
		case targetReplaced:
			l.serial++
			l.gone, l.effects = false, map[string]*effect{}
		case targetGone:
			l.gone, l.effects = true, map[string]*effect{}
		case targetRestarts:
			hit = len(l.effects) > 0
			l.effects = map[string]*effect{}
		case foreignChange:
			hit = slices.ContainsFunc(types, func(t string) bool { return l.effects[t] != nil })
			for _, t := range types {
				if e := l.effects[t]; e != nil {
					e.foreign = true
				}
			}
		}
	})
	if hit {
		w.happens(string(what))
	}
}
