package conformance

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/host/output"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Promise is one promise of a fault, and whether it was kept.
type Promise struct {
	Fault   string   `json:"fault"`
	Promise string   `json:"promise"`
	State   State    `json:"state"`
	Seconds float64  `json:"seconds"`
	Said    []string `json:"said,omitempty"` // what the kit found, or why it did not look
}

// State of a promise.
type State string

// The states of a promise.
const (
	Kept    State = "kept"
	Broken  State = "broken"
	Skipped State = "skipped" // it does not hold for this fault, or the file has no command for it
)

// root is the name of the test that all promises are below.
const root = "Conformance"

// Play runs the kit in this process, prints as `go test -v` does, and ends the process:
// with 0 when everything was kept, with 1 when not. It returns only an error. The kit is
// made of Go's tests, which want a process of their own. Which is what is looked at; see
// [Pattern].
func Play(cases []plugintest.Case, which Pattern) error {
	testing.Init()
	if err := flag.CommandLine.Parse([]string{"-test.v=true", "-test.timeout=0", "-test.run=" + which.tests()}); err != nil {
		return fmt.Errorf("prepare the kit: %w", err)
	}
	testing.Main(regexp.MatchString, []testing.InternalTest{{Name: root, F: func(t *testing.T) {
		plugintest.Faults(t, cases...)
	}}}, nil, nil)
	return nil
}

// Pattern says which promises are looked at: a regular expression for their names, or
// one for the fault, a slash, and one for the promise. Empty: all.
type Pattern string

// Check says what is wrong with a pattern.
func (p Pattern) Check() error {
	parts := strings.Split(string(p), "/")
	if len(parts) > 2 {
		return fmt.Errorf("%q has more than one slash: write PROMISE or FAULT/PROMISE, both regular expressions", p)
	}
	for _, part := range parts {
		if _, err := regexp.Compile(part); err != nil {
			return fmt.Errorf("%q is no regular expression: %w", part, err)
		}
	}
	return nil
}

// tests is the pattern as Go's tests understand it.
func (p Pattern) tests() string {
	fault, promise, both := strings.Cut(string(p), "/")
	if !both {
		fault, promise = "", fault
	}
	return "^" + root + "$/" + fault + "/" + promise
}

var (
	speaks = regexp.MustCompile(`^=== (?:RUN|NAME|CONT)\s+(\S+)$`)
	result = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+) \(([0-9.]+)s\)$`)
)

// place is where in the kit something was said, which is of no use to a plugin's author.
var place = regexp.MustCompile(`^[a-z_]+\.go:[0-9]+: `)

// Read makes promises of what Play prints, in the order of plugintest.Promises.
func Read(out io.Reader) ([]Promise, error) {
	said := map[string][]string{}
	var all []Promise
	speaker := ""
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l := lines.Text()
		if m := speaks.FindStringSubmatch(l); m != nil {
			speaker = m[1]
			continue
		}
		m := result.FindStringSubmatch(l)
		if m == nil {
			l = place.ReplaceAllString(strings.TrimSpace(l), "")
			if l != "" && l != "PASS" && l != "FAIL" && strings.HasPrefix(speaker, root) {
				said[speaker] = append(said[speaker], output.Escape([]byte(l))) // it quotes the plugin
			}
			continue
		}
		if p, ok := promise(m[2]); ok {
			p.State = map[string]State{"PASS": Kept, "FAIL": Broken, "SKIP": Skipped}[m[1]]
			p.Seconds, _ = strconv.ParseFloat(m[3], 64)
			all = append(all, p)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what the kit says: %w", err)
	}
	for i := range all {
		name := root + "/" + all[i].Fault + "/" + strings.ReplaceAll(all[i].Promise, " ", "_")
		for speaker, texts := range said {
			if speaker == name || strings.HasPrefix(speaker, name+"/") {
				all[i].Said = append(all[i].Said, texts...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Promise) int {
		return cmp.Or(strings.Compare(a.Fault, b.Fault), cmp.Compare(rank(a), rank(b)))
	})
	return all, nil
}

func rank(p Promise) int {
	return slices.IndexFunc(plugintest.Promises(), func(x plugintest.Promise) bool { return x.Name == p.Promise })
}

// promise takes a test's name apart: Conformance/lamp_off/crash_during_inject.
func promise(test string) (Promise, bool) {
	parts := strings.Split(test, "/")
	if len(parts) != 3 || parts[0] != root {
		return Promise{}, false // all of a fault, or a part of a promise
	}
	return Promise{Fault: parts[1], Promise: strings.ReplaceAll(parts[2], "_", " ")}, true
}

// AllKept says whether there were promises, and none was broken.
func AllKept(all []Promise) bool {
	for _, p := range all {
		if p.State == Broken {
			return false
		}
	}
	return len(all) > 0
}
