//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/faultline-go/faultline/plugins/net/hold"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// undo is the undo record of every fault of this plugin: where, and what. It is all that
// is needed to put the fault in, to look at it and to remove it.
type undo struct {
	Place place       `json:"place"`
	Spec  impair.Spec `json:"spec"`
	// How says in a few words by what mechanism the fault works.
	How string `json:"how"`
	// What a living program does, if the kernel cannot do it alone.
	Late *impair.Netem `json:"late,omitempty"`
	Lie  *hold.Lie     `json:"lie,omitempty"`
}

// order asks a keeper for something.
func (u undo) order(do string, ttl time.Duration) hold.Order {
	return hold.Order{Do: do, Spec: u.Spec, Late: u.Late, Lie: u.Lie, TTL: ttl}
}

// kind is what is particular about a fault; all the rest of its life is the same.
type kind[C any] struct {
	typ, doc string
	usual    string // direction, when the scenario does not say
	check    func(C) error
	chooses  func(C) (c choice, direction string, percent float64)
	// acts says what happens to the packets, on a kernel with these abilities.
	acts func(c C, can impair.Abilities) (deed, error)
}

// deed is what happens to packets, and how.
type deed struct {
	impair.Action
	late *impair.Netem
	lie  *hold.Lie
	how  string
}

const (
	// revertTime is the longest that one target may take: for a helper container that
	// has to be started.
	revertTime = 20 * time.Second
	// withoutLease is how long a fault lasts that nobody has given a lease.
	withoutLease = 15 * time.Second
)

func (k kind[C]) fault() sdk.Fault[C, undo] {
	return sdk.Fault[C, undo]{
		Type:          k.typ,
		Doc:           k.doc,
		Accepts:       accepts,
		Hold:          sdk.HoldKernel,
		Reversibility: sdk.Reversible,
		Requires:      []string{"Linux with nftables", "root on the target's machine, or a Docker engine"},
		Capabilities:  []schema.Capability{schema.CapNetAdmin, schema.CapRoot, schema.CapDocker},
		Settle:        2 * time.Second,
		RevertTime:    revertTime,
		Check: func(c C) error {
			chosen, _, _ := k.chooses(c)
			if k.check == nil {
				return chosen.check()
			}
			return errors.Join(chosen.check(), k.check(c))
		},
		Prepare: k.prepare,
		Inject: func(ctx context.Context, _ C, u undo) error {
			l, ok := sdk.LeaseOf(ctx)
			if !ok {
				l.TTL = withoutLease
			}
			return keeperOf(u).in(ctx, l, u)
		},
		Renew: func(ctx context.Context, u undo, ttl time.Duration) error { return keeperOf(u).renew(ctx, u, ttl) },
		Observe: func(ctx context.Context, _ C, u undo) (sdk.Effect, error) {
			is, err := keeperOf(u).look(ctx, u)
			if errors.Is(err, sdk.ErrGone) {
				return sdk.Effect{Detail: err.Error()}, nil
			}
			return effect(u, is), err
		},
		Revert: revert,
		Scan:   scan,
	}
}

func (k kind[C]) prepare(ctx context.Context, t sdk.PrepareTarget, c C) (out sdk.Prepared[undo], err error) {
	at, err := placeOf(ctx, t)
	if err != nil {
		return out, err
	}
	chosen, direction, percent := k.chooses(c)
	if at.device != "" {
		if chosen.Interface != "" && chosen.Interface != at.device {
			return out, fmt.Errorf("interface = %q: the target is the interface %s itself", chosen.Interface, at.device)
		}
		chosen.Interface = at.device
	}
	s, err := survey(ctx, at)
	if err != nil {
		return out, err
	}
	defer s.end()
	does, err := k.acts(c, s.can)
	if err != nil {
		return out, err
	}
	if does.lie != nil {
		if does.lie.Truth, err = s.servers(ctx); err != nil {
			return out, err
		}
	}
	way := chosen.way(direction, k.usual)
	spec := impair.Spec{Mark: newMark(), Action: does.Action}
	if spec.Match, err = chosen.match(ctx, way, percent, s.resolve); err != nil {
		return out, err
	}
	if spec.Devices, err = s.devices(ctx, chosen.Interface, spec); err != nil {
		return out, fmt.Errorf("%s: %w", at.Name, err)
	}
	return sdk.Prepared[undo]{
		Undo:        undo{Place: at, Spec: spec, How: does.how, Late: does.late, Lie: does.lie},
		Incarnation: at.incarnation(),
		Resources:   resources(k.typ, at.key(), spec),
	}, nil
}

func newMark() string {
	raw := make([]byte, 6)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// resources are what a fault occupies. A queue of a device is there once; of rules there
// may be any number that choose different packets.
func resources(typ, key string, s impair.Spec) []string {
	var out []string
	if !s.Action.Queued() {
		return []string{fmt.Sprintf("%s/%s:%s", key, typ, describe(s))}
	}
	for _, d := range s.Devices {
		if s.Match.Direction != impair.In {
			out = append(out, key+"/egress:"+d.Name)
		}
		if s.Match.Direction != impair.Out {
			out = append(out, key+"/ingress:"+d.Name)
		}
	}
	return out
}

// describe says which packets a fault is about.
func describe(s impair.Spec) string {
	m := s.Match
	words := []string{string(m.Direction)}
	list := func(name string, all []netip.Prefix) {
		if len(all) > 0 {
			var texts []string
			for _, p := range all {
				text := p.String()
				if p.IsSingleIP() {
					text = p.Addr().String()
				}
				texts = append(texts, text)
			}
			words = append(words, name+" "+strings.Join(texts, ","))
		}
	}
	list("to", m.To)
	list("from", m.From)
	if len(m.Ports) > 0 {
		var texts []string
		for _, p := range m.Ports {
			if p.First == p.Last {
				texts = append(texts, fmt.Sprint(p.First))
			} else {
				texts = append(texts, fmt.Sprintf("%d-%d", p.First, p.Last))
			}
		}
		words = append(words, "port "+strings.Join(texts, ","))
	}
	words = append(words, m.Protocols...)
	var devices []string
	for _, d := range s.Devices {
		devices = append(devices, d.Name)
	}
	if len(devices) > 0 {
		words = append(words, "on "+strings.Join(devices, ","))
	}
	return strings.Join(words, " ")
}

// effect is what the kernel's counters say. A fault that no packet has met has had no
// effect yet.
func effect(u undo, is impair.State) sdk.Effect {
	e := sdk.Effect{
		Bites:    is.Whole && is.Armed && is.Packets > 0,
		Measures: map[string]float64{"packets": float64(is.Packets), "packet_bytes": float64(is.Bytes)},
	}
	switch {
	case !is.Any:
		e.Detail = "nothing of it is there"
	case !is.Armed:
		e.Detail = "its lease has run out: the kernel has ended it"
	case !is.Whole:
		e.Detail = "somebody has taken a part of it away"
	case is.Packets == 0:
		e.Detail = fmt.Sprintf("%s is in (%s), and no packet has come by", u.How, describe(u.Spec))
	default:
		e.Detail = fmt.Sprintf("%s has met %d packets (%s)", u.How, is.Packets, describe(u.Spec))
	}
	if u.Spec.Action.Queued() {
		e.Measures["dropped_packets"], e.Measures["waiting_packets"] = float64(is.Dropped), float64(is.Waiting)
	}
	return e
}

func revert(ctx context.Context, u undo) (sdk.Reverted, error) {
	changed, err := keeperOf(u).out(ctx, u)
	switch {
	case errors.Is(err, sdk.ErrGone):
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: err.Error()}, nil
	case err != nil:
		return sdk.Reverted{}, err
	case !changed:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the kernel shows nothing of it in " + u.Place.Name}, nil
	}
	return sdk.Reverted{Outcome: sdk.PutBack, Proof: "removed, and the kernel shows nothing of it any more in " + u.Place.Name}, nil
}

func scan(ctx context.Context, known []sdk.Known[undo]) ([]sdk.Residue, error) {
	var out []sdk.Residue
	var blind []error
	for _, k := range known {
		is, err := keeperOf(k.Undo).look(ctx, k.Undo)
		if err != nil {
			if !errors.Is(err, sdk.ErrGone) {
				blind = append(blind, fmt.Errorf("%s: %w", k.Target, err))
			}
			continue
		}
		if is.Any {
			detail := effect(k.Undo, is).Detail
			out = append(out, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMarked, Detail: k.Undo.Place.Name + ": " + detail})
		}
	}
	return out, errors.Join(blind...)
}
