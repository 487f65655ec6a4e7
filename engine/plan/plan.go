// Package plan turns a scenario into a Plan: what would happen, to whom, for how
// long. It discovers the targets, picks among them by the scenario's seed, lays the
// steps on a time line, holds it all against the limits, and asks each fault to
// prepare, which touches nothing.
//
// A plan is immutable and hashed. The same scenario, seed and inventory make the
// same plan; a saved plan that is not made again from the same files has drifted and
// is refused. What a run needs beyond what may be written down (sensitive
// configuration, compiled conditions) is in the plan while it lives in memory and
// never encoded.
package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Format is the format of an encoded plan. A reader refuses a higher one.
const Format = 1

// Plan is what would happen.
type Plan struct {
	Format      int                        `json:"format"`
	Hash        string                     `json:"hash"`               // SHA-256 of what would happen, hex
	Workdir     string                     `json:"workdir"`            // where Scenario.Source was given; absolute
	Platform    string                     `json:"platform,omitempty"` // that it was made on: "linux_amd64"
	Scenario    journal.Scenario           `json:"scenario"`
	Seed        int64                      `json:"seed"`
	Files       []File                     `json:"files"`
	Variables   map[string]json.RawMessage `json:"variables,omitempty"` // without the sensitive ones
	Plugins     []Plugin                   `json:"plugins"`
	Probes      []Probe                    `json:"probes"`
	Experiments []Experiment               `json:"experiments"`
	Guards      []Guard                    `json:"guards,omitempty"`
	Limits      Limits                     `json:"limits"`
	// Capabilities are what the plugins need for it, by what they say of themselves.
	Capabilities []CapabilityUse `json:"capabilities,omitempty"`
	Longest      time.Duration   `json:"longest_ns"` // of the whole run when nothing goes wrong, and what is to recover does at once
	Warnings     []string        `json:"warnings,omitempty"`
}

// File is a source file of the scenario.
type File struct {
	Path   string `json:"path"` // its name, without the folder
	SHA256 string `json:"sha256"`

	Text string `json:"-"`
}

// Plugin is a plugin that the run starts.
type Plugin struct {
	Name     string          `json:"name"`
	Version  string          `json:"version"`
	Settings json.RawMessage `json:"settings,omitempty"` // redacted
	// SHA256 is that of the binary, in hexadecimal; empty: nobody knows. It is not hashed with
	// the plan: another build that would do the same has the same plan, but what was
	// reviewed was this one.
	SHA256 string `json:"sha256,omitempty"`
	// Locked has the checksums of the same release for every platform, where a lock file
	// vouches for the binary: they were reviewed with it.
	Locked []string `json:"locked,omitempty"`

	Full json.RawMessage `json:"-"`
}

// Probe is a probe that the run starts.
type Probe struct {
	Name     string          `json:"name"` // "http.checkout"
	Type     string          `json:"type"`
	Plugin   string          `json:"plugin"`
	Interval time.Duration   `json:"interval_ns"`
	Timeout  time.Duration   `json:"timeout_ns"`
	Config   json.RawMessage `json:"config"` // redacted

	Full json.RawMessage `json:"-"`
}

// Experiment is an experiment with its targets chosen.
type Experiment struct {
	Spec  journal.ExperimentSpec `json:"spec"`
	Steps []Step                 `json:"steps"`
	Needs []judge.Needs          `json:"needs"`
	// DependsOn are the experiments that must have completed before.
	DependsOn []string `json:"depends_on,omitempty"`
	// Skip says why nothing will be exercised: on_empty = "skip" and no target.
	Skip string `json:"skip,omitempty"`
	// Source is where its steps come from: "catalog:chaos-monkey".
	Source string `json:"source,omitempty"`
	// Chance is what the day's draw says of an experiment that happens by chance.
	Chance *Chance `json:"chance,omitempty"`
	// NotDue says why it does not happen this time: its chance did not fall on it.
	NotDue string `json:"not_due,omitempty"`

	Objectives []Objective `json:"-"` // in the order of Spec.Objectives

	lasts time.Duration // when nothing goes wrong
}

// Objective joins an objective's specification to its compiled condition.
type Objective struct {
	Name  string
	Probe string
	Good  scenario.Predicate
}

// Step is a fault, an action or a prompt at its place on the time line. Times count from the
// moment at which the experiment's baseline has passed.
type Step struct {
	Kind     scenario.StepKind `json:"kind"`
	Name     string            `json:"name"` // "docker_kill.web"
	Type     string            `json:"type"`
	Plugin   string            `json:"plugin"`
	Offset   time.Duration     `json:"offset_ns"` // after the last of After, or from the beginning
	After    []string          `json:"after,omitempty"`
	Start    time.Duration     `json:"start_ns"` // as planned: Offset on top of the ends of After
	Duration time.Duration     `json:"duration_ns"`
	Timeout  time.Duration     `json:"timeout_ns,omitempty"` // of an action or a prompt
	Lease    time.Duration     `json:"lease_ns,omitempty"`
	Config   json.RawMessage   `json:"config"` // redacted

	// What only faults have.
	Target             string               `json:"target,omitempty"` // the target block
	Discovered         int                  `json:"discovered,omitempty"`
	Targets            []Target             `json:"targets,omitempty"`
	Hold               schema.Hold          `json:"hold,omitempty"`
	Reversibility      schema.Reversibility `json:"reversibility,omitempty"`
	Settle             time.Duration        `json:"settle_ns,omitempty"`
	RevertBudget       time.Duration        `json:"revert_budget_ns,omitempty"` // targets ÷ concurrency × time a target
	AcceptIrreversible bool                 `json:"accept_irreversible,omitempty"`
	// EndsAfter are steps: when they are over, the fault is put back before its Duration.
	EndsAfter []string `json:"ends_after,omitempty"`

	// What only prompts have.
	Prompt *Prompt `json:"prompt,omitempty"`

	ZoneOf map[string]string `json:"-"` // by id, of everything that the target block discovered
	Full   json.RawMessage   `json:"-"`

	end time.Duration // as planned: no prompt takes time
}

// Prompt is a hold point.
type Prompt struct {
	Question string `json:"question"`
	Default  string `json:"default"` // continue or stop
}

// Target is a target that was picked. Its identity is the logical one, so that a
// restart between plan and run is no drift.
type Target struct {
	Kind      string   `json:"kind"`
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Zone      string   `json:"zone,omitempty"`
	Resources []string `json:"resources,omitempty"`

	Candidate schema.Candidate `json:"-"`
}

// Guard is a condition that stops the run.
type Guard struct {
	Name        string        `json:"name"`
	Probe       string        `json:"probe"`
	Good        string        `json:"good"`
	For         time.Duration `json:"for_ns"`
	NoDataAfter time.Duration `json:"no_data_after_ns"`

	Predicate scenario.Predicate `json:"-"`
}

// Limits is the blast radius that holds, after the environment's policy.
type Limits struct {
	MaxTargets  int      `json:"max_targets,omitempty"`
	MaxPercent  float64  `json:"max_percent,omitempty"`
	KeepPerZone int      `json:"keep_per_zone,omitempty"`
	Windows     []string `json:"windows,omitempty"` // for people

	windows       []scenario.Window
	policyWindows []scenario.Window
}

// Encode gives the form in which a plan is saved, hashed and journalled.
func (p *Plan) Encode() ([]byte, error) {
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return append(raw, '\n'), nil
}

// Decode reads a saved plan. It shows what was planned; to run it, the plan is made
// again from its files and compared by hash.
func Decode(raw []byte) (*Plan, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if head.Format > Format {
		return nil, fmt.Errorf("the plan has format %d, newer than this faultline reads (%d): upgrade faultline", head.Format, Format)
	}
	if head.Format < 1 {
		return nil, fmt.Errorf("read plan: this is no faultline plan")
	}
	p := new(Plan)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	hash, err := p.hash()
	if err != nil {
		return nil, err
	}
	if hash != p.Hash {
		return nil, fmt.Errorf("read plan: it was changed after it was saved (its hash does not fit)")
	}
	return p, nil
}

// hash covers what would happen, and not where it was planned, where the scenario lies or
// whether its folder is committed: saving a plan beside it changes that. Nor does it cover which
// binaries do it, which [Drift] compares by themselves.
func (p *Plan) hash() (string, error) {
	c := *p
	c.Plugins = slices.Clone(p.Plugins)
	for i := range c.Plugins {
		c.Plugins[i].SHA256, c.Plugins[i].Locked = "", nil
	}
	c.Hash, c.Workdir, c.Platform, c.Scenario.Source, c.Scenario.GitCommit = "", "", "", "", ""
	raw, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("hash plan: %w", err)
	}
	// A raw message keeps the white space that a saved plan was indented with.
	var flat bytes.Buffer
	if err := json.Compact(&flat, raw); err != nil {
		return "", fmt.Errorf("hash plan: %w", err)
	}
	sum := sha256.Sum256(flat.Bytes())
	return hex.EncodeToString(sum[:]), nil
}

// Faults says how many faults the plan would inject.
func (p *Plan) Faults() int {
	n := 0
	for _, e := range p.Experiments {
		n += len(e.Spec.Faults)
	}
	return n
}

// chanceDrift says how the chance of an experiment has changed.
func chanceDrift(saved, now *Experiment) string {
	words := func(e *Experiment) string {
		if e.NotDue == "" {
			return "due"
		}
		return e.NotDue
	}
	return fmt.Sprintf("experiment %s was %s; now it is %s", now.Spec.Name, words(saved), words(now))
}

// binaryDrift says which plugin is another program than the one that was there when the
// plan was saved, or than the same release of it for this platform. Of a plan that does not
// know its binaries nothing is said.
func binaryDrift(saved, now *Plan) string {
	for _, p := range now.Plugins {
		i := slices.IndexFunc(saved.Plugins, func(was Plugin) bool { return was.Name == p.Name })
		if i < 0 || saved.Plugins[i].SHA256 == "" || saved.Plugins[i].SHA256 == p.SHA256 || slices.Contains(saved.Plugins[i].Locked, p.SHA256) {
			continue
		}
		was := short(saved.Plugins[i].SHA256)
		switch {
		case p.SHA256 == "":
			return fmt.Sprintf("the binary of plugin %s was replaced (it was SHA-256 %s and is now a process that was attached)", p.Name, was)
		case saved.Platform != now.Platform:
			return fmt.Sprintf("it was made on %s and knows no binary of plugin %s for %s, as it would if a lock file had them (it was SHA-256 %s and is here %s)",
				saved.Platform, p.Name, now.Platform, was, short(p.SHA256))
		}
		return fmt.Sprintf("the binary of plugin %s was replaced (it was SHA-256 %s and is now SHA-256 %s)", p.Name, was, short(p.SHA256))
	}
	return ""
}

// Drift says in one sentence how a plan that was made again differs from the saved
// one; empty when it does not.
func Drift(saved, now *Plan) string {
	if saved.Hash == now.Hash {
		return binaryDrift(saved, now)
	}
	files := map[string]string{}
	for _, f := range saved.Files {
		files[f.Path] = f.SHA256
	}
	for _, f := range now.Files {
		if sum, ok := files[f.Path]; !ok {
			return "file " + f.Path + " is new"
		} else if sum != f.SHA256 {
			return "file " + f.Path + " has changed"
		}
		delete(files, f.Path)
	}
	for path := range files {
		return "file " + path + " is gone"
	}
	for i, e := range now.Experiments {
		if i < len(saved.Experiments) && saved.Experiments[i].NotDue != e.NotDue {
			return chanceDrift(&saved.Experiments[i], &e)
		}
		for j, s := range e.Steps {
			if i >= len(saved.Experiments) || j >= len(saved.Experiments[i].Steps) {
				break
			}
			was := saved.Experiments[i].Steps[j].TargetNames()
			if is := s.TargetNames(); !slices.Equal(was, is) {
				return fmt.Sprintf("the targets of %s were %s and are now %s", s.Name, strings.Join(was, ", "), strings.Join(is, ", "))
			}
			if !slices.EqualFunc(saved.Experiments[i].Steps[j].Targets, s.Targets, func(a, b Target) bool { return a.ID == b.ID }) {
				return fmt.Sprintf("the targets of %s have the same names and are others", s.Name)
			}
		}
	}
	for i, p := range now.Plugins {
		if i < len(saved.Plugins) && saved.Plugins[i].Version != p.Version {
			return fmt.Sprintf("plugin %s was version %s and is now %s", p.Name, saved.Plugins[i].Version, p.Version)
		}
	}
	if drift := binaryDrift(saved, now); drift != "" {
		return drift
	}
	if words := func(p *Plan) string { return fmt.Sprint(p.Capabilities) }; words(saved) != words(now) {
		return "its plugins need other capabilities"
	}
	return "its variables, limits or inventory have changed"
}
