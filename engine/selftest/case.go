package selftest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Who is the set of processes that die.
type Who uint8

const (
	Engine Who = 1 << iota
	Plugin
	Guardian
	Nobody Who = 0
)

func (w Who) String() string {
	var names []string
	for i, name := range []string{"engine", "plugin", "guardian"} {
		if w&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, "+")
}

// MarshalText makes a Who readable in JSON.
func (w Who) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// How they die.
type How string

const (
	Killed  How = "killed"  // SIGKILL
	Stopped How = "stopped" // SIGSTOP: alive, and answers nobody
)

// Event says when: right after the journal has it.
type Event string

const (
	RunStarted    Event = "run.started"
	InBaseline    Event = "baseline"
	FaultIntent   Event = "fault.intent"
	FaultActive   Event = "fault.active"
	FaultObserved Event = "fault.observed"
	BeforeRevert  Event = "before revert" // a moment before the fault's planned end
	FaultReverted Event = "fault.reverted"
	RunEnded      Event = "run.ended"
)

var events = []Event{RunStarted, InBaseline, FaultIntent, FaultActive, FaultObserved, BeforeRevert, FaultReverted, RunEnded}

// victims is everything that is done to the three processes.
var victims = []struct {
	who Who
	how How
}{
	{Plugin, Stopped}, // the slowest first, so that they are not what is waited for in the end
	{Engine, Stopped},
	{Engine | Plugin, Stopped},
	{Plugin | Guardian, Stopped},
	{Engine | Guardian, Stopped},
	{Engine | Plugin | Guardian, Stopped},
	{Guardian, Stopped},
	{Engine, Killed},
	{Plugin, Killed},
	{Guardian, Killed},
	{Engine | Plugin, Killed},
	{Engine | Guardian, Killed},
	{Plugin | Guardian, Killed},
	{Engine | Plugin | Guardian, Killed},
}

// Case is one run with one accident.
type Case struct {
	Name  string        `json:"name"` // unique; `-only` takes it
	Fault string        `json:"fault"`
	Who   Who           `json:"who"`
	How   How           `json:"how,omitempty"`
	Event Event         `json:"event,omitempty"`
	Delay time.Duration `json:"delay_ns,omitempty"` // after the event
	Story Story         `json:"story,omitempty"`    // what happens then besides
}

// fullSize is the least number of cases of the full size.
const fullSize = 1000

// longestDelay of a case after its event: beyond the time between two events that
// follow each other at once.
const longestDelay = 150 * time.Millisecond

// cases lists what to try: first each fault with no accident, then every accident.
// Faults on containers are slow, because the Docker engine is. In the small size each
// accident happens to one fault, and every fourth of these is on a container; in the
// full size to every fault, and then again and again, with other delays, to those on
// processes, and every fourth to one on a container. Where only some are wanted by
// name, they are chosen among all accidents to all faults.
func cases(quick, slow []string, full bool, only string, random *rand.Rand) []Case {
	var out []Case
	all := slices.Concat(quick, slow)
	for _, f := range all {
		out = append(out, Case{Name: f + "/nobody", Fault: f})
	}
	round := 0
	add := func(fault string, v int, e Event) {
		c := Case{Fault: fault, Who: victims[v].who, How: victims[v].how, Event: e}
		c.Name = fmt.Sprintf("%s/%s/%s/%s", fault, c.Who, c.How, strings.ReplaceAll(string(e), " ", "-"))
		if round > 0 {
			c.Delay = time.Duration(random.Int64N(int64(longestDelay))).Truncate(time.Millisecond)
			c.Name += fmt.Sprintf("/%d", round)
		}
		out = append(out, c)
	}
	q, s := &turns{of: quick}, &turns{of: slow}
	random.Shuffle(len(slow), func(i, j int) { slow[i], slow[j] = slow[j], slow[i] })
	for ; round == 0 || full && len(out) < fullSize; round++ {
		for v := range victims {
			for i, e := range events {
				fourth := len(slow) > 0 && (v+i+round)%4 == 3
				switch {
				case round == 0 && (full || only != ""):
					for _, f := range all {
						add(f, v, e)
					}
				case round == 0 && fourth:
					add(s.next(), v, e)
				case round == 0:
					add(q.next(), v, e)
				default:
					for _, f := range quick {
						add(f, v, e)
					}
					if fourth {
						add(s.next(), v, e)
					}
				}
			}
		}
	}
	for _, c := range stories {
		if slices.Contains(all, c.Fault) {
			c.Name = c.Fault + "/" + string(c.Story)
			out = append(out, c)
		}
	}
	return named(out, only)
}

// turns gives one after the other, around.
type turns struct {
	of []string
	at int
}

func (t *turns) next() string { t.at++; return t.of[(t.at-1)%len(t.of)] }

// named keeps the cases whose name contains the text; the undisturbed runs of their
// faults come first all the same.
func named(all []Case, text string) []Case {
	wanted := slices.DeleteFunc(slices.Clone(all), func(c Case) bool { return !strings.Contains(c.Name, text) })
	return slices.DeleteFunc(slices.Clone(all), func(c Case) bool {
		if c.calm() {
			return !slices.ContainsFunc(wanted, func(w Case) bool { return w.Fault == c.Fault })
		}
		return !strings.Contains(c.Name, text)
	})
}

// Slack is added to every promise: for the time that the revert itself takes, and
// for a machine that is busy with many cases at once.
const Slack = 3 * time.Second

// promise is how soon a revert starts at the latest when these processes die. ok is
// false where the run goes on as planned, and where nobody is left.
func (c Case) promise(lease time.Duration) (at time.Duration, ok bool) {
	switch {
	case c.Who == Nobody, c.Who == Guardian:
		return 0, false
	case c.asleep():
		return time.Second, true // from when they go on: the lease has run out
	case c.Who&Engine != 0 && c.How == Stopped:
		return lease, true
	case c.How == Stopped:
		return lease + 2*time.Second, true // the engine notices that its leases are lost, then it is as if it had died
	case c.Who&Engine != 0 && c.Who&Plugin == 0:
		return time.Second, true
	case c.Who == Engine|Plugin, c.Who&Plugin != 0 && c.Who&Engine == 0:
		return 2 * time.Second, true
	}
	return 0, false
}

// nobodyLeft says that every process that could put back is dead: that is for
// `faultline recover`, or for the fault itself where the kernel or the target holds
// it.
func (c Case) nobodyLeft() bool { return c.Who == Engine|Plugin|Guardian && c.How == Killed }

// asleep says that everybody who may put back is stopped: with the engine alive the
// guardian has nothing to do, and the run is nobody else's. So it is when a machine is
// suspended.
func (c Case) asleep() bool { return c.How == Stopped && c.Who&(Engine|Plugin) == Engine|Plugin }

// calm says that nothing happens at all.
func (c Case) calm() bool { return c.Who == Nobody && c.Story == "" }

// engineLives says whether the engine itself comes to its end.
func (c Case) engineLives() bool { return c.Who&Engine == 0 || c.How == Stopped }
