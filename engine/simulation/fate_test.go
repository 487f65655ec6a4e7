package simulation

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"
)

// trouble is something that goes wrong in a world.
type trouble string

const (
	engineDies     trouble = "the engine dies"
	engineSleeps   trouble = "the engine is suspended"
	guardianDies   trouble = "the guardian dies"
	pluginDies     trouble = "the plugin dies"
	pluginHangs    trouble = "the plugin hangs"
	restartFails   trouble = "the plugin cannot be started anew"
	powerFails     trouble = "the power fails"
	diskFills      trouble = "the disk fills"
	syncFails      trouble = "the disk loses a write"
	syncHangs      trouble = "the disk takes its time"
	sessionBreaks  trouble = "the session breaks"
	acksAreLost    trouble = "acknowledgements are lost"
	prepareFails   trouble = "a preparation fails"
	injectFails    trouble = "an injection fails"
	injectHalfway  trouble = "an injection fails half-way"
	injectLands    trouble = "an injection lands after its call"
	injectArrives  trouble = "an injection arrives after its revert"
	answersLate    trouble = "answers are late"
	revertFails    trouble = "a revert fails"
	revertStuck    trouble = "a revert fails for ever"
	revertLies     trouble = "a revert lies"
	observeLies    trouble = "an observation lies"
	scanFails      trouble = "a scan fails"
	dataIsMissing  trouble = "samples are missing"
	targetReplaced trouble = "an orchestrator replaces a target"
	targetRestarts trouble = "a restart policy beats us to it"
	foreignChange  trouble = "somebody else changes a target"
	targetGone     trouble = "a target dies by itself"
	operatorAborts trouble = "the operator aborts"
	secondRun      trouble = "a second run beside the first"
	manyRecover    trouble = "plugin, guardian and recover at once"
	recoverDies    trouble = "recover dies"
)

var troubles = []trouble{
	engineDies, engineSleeps, guardianDies, pluginDies, pluginHangs, restartFails, powerFails, diskFills, syncFails, syncHangs,
	sessionBreaks, acksAreLost, prepareFails, injectFails, injectHalfway, injectLands, injectArrives, answersLate, revertFails,
	revertStuck, revertLies, observeLies, scanFails, dataIsMissing, targetReplaced, targetRestarts, foreignChange,
	targetGone, operatorAborts, secondRun, manyRecover, recoverDies,
}

// fate is what a seed decides about a world before it begins. What is not decided here
// is drawn by kind and number (see strikes), so that it does not depend on the order
// in which goroutines ask.
type fate struct {
	seed     uint64
	troubles []trouble
	shape    int // of the game day

	engineDies   int // at that one of its points; 0: it does not
	guardianDies int
	recoverDies  int
	alsoPlugin   bool // dies together with the engine
	alsoGuardian bool

	pluginDies, pluginHangs, pluginResumes     time.Duration
	engineSleeps, engineWakes, powerFails      time.Duration
	diskFills, syncFails, syncHangs            time.Duration
	breaks, deaf                               time.Duration
	replaced, restarts, foreign, gone, aborted time.Duration
	silent                                     time.Duration
	target                                     string // of what happens to one target
	failedStarts                               int
}

func (f fate) has(t trouble) bool { return slices.Contains(f.troubles, t) }

// fateOf draws a fate. A world has none to four troubles; the deaths, which are what
// this is about, are drawn more often than the others. span is how many points an
// undisturbed run has, guarded those of a guardian that recovers.
func fateOf(seed uint64, span, guarded int) fate {
	rng := rand.New(rand.NewPCG(seed, 0x6c616d70))
	f := fate{seed: seed, shape: rng.IntN(len(shapes))}
	add := func(t trouble) {
		if !f.has(t) {
			f.troubles = append(f.troubles, t)
		}
	}
	for range rng.IntN(4) {
		add(troubles[rng.IntN(len(troubles))])
	}
	if rng.IntN(2) == 0 {
		add(engineDies)
		if rng.IntN(2) == 0 {
			add(guardianDies)
		}
		if rng.IntN(3) == 0 {
			add(pluginDies)
		}
	}
	at := func(from, to time.Duration) time.Duration { return from + time.Duration(rng.Int64N(int64(to-from))) }
	longest := 14 * time.Second
	f.pluginDies, f.pluginHangs = at(0, longest), at(0, longest)
	f.pluginResumes = f.pluginHangs + at(time.Second, 20*time.Second)
	f.engineSleeps = at(0, longest)
	f.engineWakes = f.engineSleeps + at(time.Second, 15*time.Second)
	f.powerFails, f.diskFills, f.syncFails = at(0, longest), at(0, longest), at(0, longest)
	f.syncHangs = at(0, longest)
	f.breaks, f.deaf, f.silent = at(0, longest), at(0, longest), at(0, longest)
	f.replaced, f.restarts, f.foreign, f.gone = at(0, longest), at(0, longest), at(0, longest), at(0, longest)
	f.aborted = at(0, longest)
	f.target = lampNames[rng.IntN(len(lampNames))]
	f.failedStarts = 1 + rng.IntN(3)
	if f.has(engineDies) {
		f.engineDies = 1 + rng.IntN(span)
		f.alsoPlugin, f.alsoGuardian = rng.IntN(6) == 0, rng.IntN(6) == 0
	}
	if f.has(guardianDies) {
		f.guardianDies = 1 + rng.IntN(guarded)
	}
	if f.has(recoverDies) {
		f.recoverDies = 1 + rng.IntN(guarded)
	}
	return f
}

// strikes says whether the nth event of a kind is hit, with a probability.
func (f fate) strikes(kind string, n int, p float64) bool { return f.draw(kind, n) < p }

// draw is a number from 0 to 1 for the nth event of a kind.
func (f fate) draw(kind string, n int) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind))
	return rand.New(rand.NewPCG(f.seed, h.Sum64()+uint64(n))).Float64()
}
