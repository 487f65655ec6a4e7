package plan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Validator is a plugin's connection, over which it is asked what it has against
// configurations that its schema allows. Neither side touches anything.
type Validator interface {
	Validate(context.Context, []wire.Configuration) ([][]wire.Problem, error)
}

const validateTimeout = 30 * time.Second

// Validate asks every plugin that is given, by name, about all configurations that the
// scenario has for it. The diagnostics are never nil; the error means that a plugin
// failed. A plugin that does not look beforehand has nothing to say.
func Validate(ctx context.Context, s *scenario.Scenario, plugins map[string]Validator) (*scenario.Diagnostics, error) {
	var names []string
	asked := map[string][]wire.Configuration{}
	configs := map[string][]scenario.Config{}
	add := func(plugin, kind, typ string, c scenario.Config) {
		if plugins[plugin] == nil {
			return
		}
		if asked[plugin] == nil {
			names = append(names, plugin)
		}
		asked[plugin] = append(asked[plugin], wire.Configuration{Kind: kind, Type: typ, Config: c.Full})
		configs[plugin] = append(configs[plugin], c)
	}
	for _, p := range s.Plugins {
		add(p.Name, "settings", "", p.Settings)
	}
	for _, p := range s.Probes {
		add(p.Plugin, "probe", p.Type, p.Config)
	}
	for _, t := range s.Targets {
		add(t.Plugin, "target", t.Type, t.Match)
	}
	for _, e := range s.Experiments {
		for _, step := range e.Steps {
			if step.Kind != scenario.PromptStep {
				add(step.Plugin, string(step.Kind), step.Type, step.Config)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	var refused []scenario.Refusal
	for _, name := range names {
		answers, err := plugins[name].Validate(ctx, asked[name])
		if err != nil {
			return nil, fmt.Errorf("validate the configurations of plugin %s: %w", name, err)
		}
		for i, problems := range answers {
			refused = append(refused, refusals(name, configs[name][i], problems)...)
		}
	}
	return s.Refuse(refused), nil
}

// RefusedSettings makes diagnostics of a plugin's refusal of its settings; nil when the
// error is no such refusal.
func RefusedSettings(s *scenario.Scenario, plugin string, err error) *scenario.Diagnostics {
	var why *wire.Invalid
	if !errors.As(err, &why) {
		return nil
	}
	var refused []scenario.Refusal
	for _, p := range s.Plugins {
		if p.Name == plugin {
			refused = append(refused, refusals(plugin, p.Settings, why.Problems)...)
		}
	}
	return s.Refuse(refused)
}

func refusals(plugin string, c scenario.Config, problems []wire.Problem) []scenario.Refusal {
	out := make([]scenario.Refusal, len(problems))
	for i, p := range problems {
		out[i] = scenario.Refusal{Plugin: plugin, Config: c, Path: p.Path, Text: p.Text}
	}
	return out
}
