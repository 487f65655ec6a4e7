package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// members is the undo record of a fault on a target that consists of containers: one
// record for each. A container by itself has one.
type members[U any] struct {
	Members []U `json:"members"`
}

// The interfaces of targets that consist of containers.
const (
	interfaceService = "docker_compose_service"
	interfaceNetwork = "docker_network"
)

// attributeThrough tells a fault on a network's containers which network it is. Only
// this plugin sets it.
const attributeThrough = "through"

// eachOf makes a fault on a container one on Compose services and networks, too: it
// then works on each of their running containers, on eight at a time of all targets
// together. A target is hit as a whole or reverted as a whole.
func eachOf[C, U any](e *engines, f sdk.Fault[C, U]) sdk.Fault[C, members[U]] {
	slots := make(chan struct{}, atOnce)
	return sdk.Fault[C, members[U]]{
		Type: f.Type, Doc: f.Doc, Hold: f.Hold, Reversibility: f.Reversibility, Requires: f.Requires, Capabilities: f.Capabilities,
		Settle: f.Settle, RevertTime: f.RevertTime, Concurrency: f.Concurrency, Check: f.Check,
		Accepts: append(slices.Clone(f.Accepts),
			schema.Accept{Interface: interfaceService, Attributes: []string{"project", "service"}},
			schema.Accept{Interface: interfaceNetwork, Attributes: []string{"id"}}),
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, c C) (out sdk.Prepared[members[U]], err error) {
			all, err := e.membersOf(ctx, t)
			if err != nil {
				return out, err
			}
			var lives []string
			var gone error
			for _, m := range all {
				p, err := f.Prepare(ctx, m, c)
				if errors.Is(err, sdk.ErrGone) && len(all) > 1 {
					gone = err // since they were listed: the others are still the target
					continue
				}
				if err != nil {
					return out, err
				}
				out.Undo.Members = append(out.Undo.Members, p.Undo)
				out.Resources = append(out.Resources, p.Resources...)
				lives = append(lives, p.Incarnation)
			}
			if len(lives) == 0 {
				return out, gone
			}
			out.Incarnation = strings.Join(lives, ", ")
			return out, nil
		},
		Inject: func(ctx context.Context, c C, u members[U]) error {
			failed := together(slots, u.Members, func(one U) error { return f.Inject(ctx, c, one) })
			// That some have ended by themselves keeps the others from nothing.
			real := slices.DeleteFunc(slices.Clone(failed), func(err error) bool { return err == nil || errors.Is(err, sdk.ErrGone) })
			if len(real) > 0 {
				return errors.Join(real...)
			}
			if !slices.Contains(failed, nil) {
				return errors.Join(failed...)
			}
			return nil
		},
		Observe: func(ctx context.Context, c C, u members[U]) (sdk.Effect, error) {
			effects := make([]sdk.Effect, len(u.Members))
			err := errors.Join(together(slots, indices(u.Members), func(i int) (err error) {
				effects[i], err = f.Observe(ctx, c, u.Members[i])
				return err
			})...)
			return summed(effects), err
		},
		Revert: func(ctx context.Context, u members[U]) (sdk.Reverted, error) {
			results := make([]sdk.Reverted, len(u.Members))
			err := errors.Join(together(slots, indices(u.Members), func(i int) (err error) {
				results[i], err = f.Revert(ctx, u.Members[i])
				return err
			})...)
			if err != nil {
				return sdk.Reverted{}, err
			}
			return worst(results), nil
		},
		Scan: func(ctx context.Context, known []sdk.Known[members[U]]) ([]sdk.Residue, error) {
			var each []sdk.Known[U]
			for _, k := range known {
				for _, one := range k.Undo.Members {
					each = append(each, sdk.Known[U]{Fault: k.Fault, Target: k.Target, Undo: one})
				}
			}
			return f.Scan(ctx, each)
		},
	}
}

// together calls work for all at once, as far as there are slots, and returns what each
// said.
func together[T any](slots chan struct{}, all []T, work func(T) error) []error {
	failed := make([]error, len(all))
	var running sync.WaitGroup
	for i, one := range all {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			failed[i] = work(one)
		})
	}
	running.Wait()
	return failed
}

func indices[T any](all []T) []int {
	out := make([]int, len(all))
	for i := range out {
		out[i] = i
	}
	return out
}

// summed is what is seen of several containers together: the fault bites when it bites
// each, and has ended when it has for each.
func summed(all []sdk.Effect) sdk.Effect {
	if len(all) == 1 {
		return all[0]
	}
	sum := sdk.Effect{Bites: len(all) > 0, Ended: len(all) > 0}
	bitten := 0
	var details []string
	for _, e := range all {
		sum.Bites, sum.Ended = sum.Bites && e.Bites, sum.Ended && e.Ended
		if e.Bites {
			bitten++
		}
		if !slices.Contains(details, e.Detail) {
			details = append(details, e.Detail)
		}
	}
	sum.Detail = fmt.Sprintf("%d of %d containers: %s", bitten, len(all), strings.Join(details, "; "))
	sum.Measures = map[string]float64{"containers": float64(len(all)), "containers_hit": float64(bitten)}
	return sum
}

// worst is the outcome for several containers: that of the one that went least well.
func worst(all []sdk.Reverted) sdk.Reverted {
	sum := sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "it had no containers"}
	var proofs []string
	for _, r := range all {
		switch {
		case r.Outcome == sdk.ForeignChange, r.Outcome == sdk.PutBack && sum.Outcome == sdk.AlreadyGone:
			sum.Outcome = r.Outcome
		}
		sum.Residue = sum.Residue || r.Residue
		proofs = append(proofs, r.Proof)
	}
	if len(proofs) > 0 {
		sum.Proof = strings.Join(proofs, "; ")
	}
	return sum
}
