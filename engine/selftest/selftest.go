package selftest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options of Run. Program and PluginDirs are required.
type Options struct {
	Program    string   // the faultline binary to test
	PluginDirs []string // where its plugins are; the first that has one wins
	Full       bool     // at least 1,000 cases instead of some 120
	Parallel   int      // cases at once; 0: what the machine can bear
	Seed       uint64   // of the choice of cases and delays; in what order a pair is killed is left to chance
	Only       string   // only cases whose name contains this
	Own        *Own     // test the user's plugin instead of our own
	Getenv     func(string) string

	// Done is called after each case, by one goroutine at a time. May be nil.
	Done func(r CaseResult, done, total int)
}

// Own is a plugin of the user's, with a game day that breaks one target of his.
type Own struct {
	Plugin    string   // path of the binary
	Scenario  string   // file or folder
	Variables []string // name=value, for the scenario
	Clean     []string // a command that ends well when the target is not broken
}

// Result is what a self-test found.
type Result struct {
	Seed    uint64        `json:"seed"`
	Slack   time.Duration `json:"slack_ns"`
	Took    time.Duration `json:"took_ns"`
	LeftOut []string      `json:"left_out,omitempty"` // what could not be tested here, and why
	Cases   []CaseResult  `json:"cases"`
}

// CaseResult is how one case went.
type CaseResult struct {
	Case
	// Broken is how long the target was not clean after the accident, or, when the
	// fault only came then, after it came. AfterRecover is how long after the start of
	// `faultline recover`, in cases that need it.
	Broken       time.Duration  `json:"broken_ns"`
	AfterRecover time.Duration  `json:"after_recover_ns,omitempty"`
	Promised     *time.Duration `json:"promised_ns,omitempty"` // how soon a revert had to begin; nil: as planned
	By           []string       `json:"by,omitempty"`          // who put back
	Late         bool           `json:"late,omitempty"`        // clean, but later than promised plus the slack
	Leak         string         `json:"leak,omitempty"`        // what stayed broken
	Wrong        []string       `json:"wrong,omitempty"`       // anything else that should not be
	Untried      string         `json:"untried,omitempty"`     // why the accident could not be made
	Untested     string         `json:"untested,omitempty"`    // why the machine was too slow to make it: no fault of what is tested, and no proof either
	Kept         string         `json:"kept,omitempty"`        // folder of a case that went wrong
}

// OK says whether the case was tried and found nothing wrong.
func (r CaseResult) OK() bool { return !r.bad() && r.Untested == "" }

// bad says whether something is wrong: with what was tested, or with the self-test.
func (r CaseResult) bad() bool { return r.Leak != "" || len(r.Wrong) > 0 || r.Untried != "" }

// Leaked counts the cases in which something stayed broken.
func (r *Result) Leaked() int { return r.count(func(c CaseResult) bool { return c.Leak != "" }) }

// Tried counts the cases that came to their accident.
func (r *Result) Tried() int { return r.count(CaseResult.tried) }

func (r CaseResult) tried() bool { return r.Untried == "" && r.Untested == "" }

// Untested counts the cases for which the machine was too slow.
func (r *Result) Untested() int {
	return r.count(func(c CaseResult) bool { return c.Untested != "" && !c.bad() })
}

// mayMiss is the share of the cases that a slow machine may leave untested: what most
// of the cases say is said; what few of them say is not.
const mayMiss = 0.1

// OK says whether nothing was found wrong, in enough of the cases.
func (r *Result) OK() bool {
	kept, untested := r.count(CaseResult.OK), r.Untested()
	return kept > 0 && kept+untested == len(r.Cases) && float64(untested) <= mayMiss*float64(len(r.Cases))
}

func (r *Result) count(which func(CaseResult) bool) int {
	n := 0
	for _, c := range r.Cases {
		if which(c) {
			n++
		}
	}
	return n
}

// Run tries all cases. The error says that the self-test itself could not be made;
// what it found is in the result. When ctx ends, everything that was started is ended
// and put back, and the error is the context's cause.
func Run(ctx context.Context, o Options) (*Result, error) {
	began := time.Now()
	random := rand.New(rand.NewPCG(o.Seed, 0))
	l, err := openLab(o)
	if err != nil {
		return nil, err
	}
	result := &Result{Seed: o.Seed, Slack: Slack, Cases: []CaseResult{}}
	quick, slow, err := l.stock(ctx, o, result)
	if err == nil {
		all := cases(quick, slow, o.Full, o.Only, random)
		if len(all) == 0 {
			err = fmt.Errorf("no case has %q in its name", o.Only)
		} else {
			result.Cases, err = l.tryAll(ctx, o, all)
		}
	}
	result.Took = time.Since(began)
	// Whatever interrupted us: what we made goes.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return result, errors.Join(err, l.close(closing))
}

// stock prepares what the cases need, and says which faults there are to try: quick
// ones, and those on containers.
func (l *lab) stock(ctx context.Context, o Options, result *Result) (quick, slow []string, err error) {
	if o.Own != nil {
		quick, err = l.stockOwn(o.Own)
		return quick, nil, err
	}
	for _, name := range []string{"process", "tcp"} {
		if err := l.addPlugin(name); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range onProcesses {
		l.makers[f] = l.processMaker(f)
	}
	quick = slices.Clone(onProcesses)
	leave := func(err error) {
		result.LeftOut = append(result.LeftOut, fmt.Sprintf("the faults on Docker containers: %v", err))
	}
	if err := l.addPlugin("docker"); err != nil {
		leave(err)
		return quick, nil, nil
	}
	dock, err := openDock(ctx, l.program, o.Getenv)
	if ctx.Err() != nil {
		return nil, nil, errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		leave(err)
		return quick, nil, nil
	}
	l.dock = dock
	for _, f := range onContainers {
		l.makers[f] = l.containerMaker(f)
	}
	return quick, slices.Clone(onContainers), nil
}

func (l *lab) stockOwn(own *Own) ([]string, error) {
	name, ok := strings.CutPrefix(filepath.Base(own.Plugin), pluginPrefix)
	if !ok {
		return nil, fmt.Errorf("a plugin's binary is called %sNAME, not %s", pluginPrefix, filepath.Base(own.Plugin))
	}
	if err := copyFile(own.Plugin, filepath.Join(l.bin, pluginPrefix+name)); err != nil {
		return nil, fmt.Errorf("copy the plugin: %w", err)
	}
	scenario, err := filepath.Abs(own.Scenario)
	if err != nil {
		return nil, err
	}
	l.own, l.plugins[name] = own, name
	l.makers[name] = func(context.Context, Case, string) (target, string, error) {
		return command{own.Clean}, scenario, nil
	}
	return []string{name}, nil
}

// A core can bear so many cases at once: most of a case is waiting, but a Docker
// engine starts one container after the other.
const (
	perCore           = 4
	containersPerCore = 1
)

// tryAll tries the undisturbed runs first: what is wrong there is wrong everywhere.
// Then come all others, so many at once.
func (l *lab) tryAll(ctx context.Context, o Options, all []Case) ([]CaseResult, error) {
	results := make([]CaseResult, len(all))
	var mu sync.Mutex
	done := 0
	try := func(i int) {
		r := l.try(ctx, all[i])
		mu.Lock()
		defer mu.Unlock()
		results[i] = r
		done++
		if o.Done != nil && ctx.Err() == nil {
			o.Done(r, done, len(all))
		}
	}
	var calm, quick, slow []int
	for i, c := range all {
		switch {
		case c.calm():
			calm = append(calm, i)
		case slices.Contains(onContainers, c.Fault):
			slow = append(slow, i)
		default:
			quick = append(quick, i)
		}
	}
	abreast(calm, min(runtime.NumCPU(), cmp.Or(o.Parallel, perCore)), try)
	for _, i := range calm {
		if r := results[i]; ctx.Err() == nil && r.bad() {
			return results[:len(calm)], fmt.Errorf("%s: a run without an accident goes wrong: %s", r.Name, r.why())
		}
	}
	if ctx.Err() != nil {
		return results, context.Cause(ctx)
	}
	parallel := cmp.Or(o.Parallel, perCore*runtime.NumCPU())
	if l.own != nil {
		parallel = 1 // there is one target
	}
	var lanes sync.WaitGroup
	lanes.Go(func() { abreast(quick, parallel, try) })
	lanes.Go(func() { abreast(slow, max(1, parallel*containersPerCore/perCore), try) })
	lanes.Wait()
	return results, context.Cause(ctx)
}

// abreast calls f for each, so many at once.
func abreast(each []int, workers int, f func(int)) {
	next := make(chan int)
	var group sync.WaitGroup
	for range min(len(each), workers) {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for _, i := range each {
		next <- i
	}
	close(next)
	group.Wait()
}

// why says what is wrong with a case, in one line.
func (r CaseResult) why() string {
	var parts []string
	if r.Leak != "" {
		parts = append(parts, "LEAK: "+r.Leak)
	}
	parts = append(parts, r.Wrong...)
	for _, why := range []string{r.Untried, r.Untested} {
		if why != "" {
			parts = append(parts, why)
		}
	}
	if r.Kept != "" {
		parts = append(parts, "see "+r.Kept)
	}
	return strings.Join(parts, "; ")
}
