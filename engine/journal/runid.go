package journal

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// NewRunID names a run: "20261122-225235.123-checkout-3fa92c1b". It sorts by time (of
// the machine that made it, in UTC), is unique, and safe as a file name.
func NewRunID(at time.Time, scenario string) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	name := plainText(scenario)
	if name == "" {
		name = "run"
	}
	return fmt.Sprintf("%s-%s-%s", at.UTC().Format("20060102-150405.000"), name, hex.EncodeToString(random[:]))
}

const longestName = 40 // of the scenario inside a run's id

var notPlain = regexp.MustCompile(`[^a-z0-9]+`)

func plainText(s string) string {
	s = notPlain.ReplaceAllString(strings.ToLower(s), "-")
	return strings.Trim(s[:min(len(s), longestName)], "-")
}

// plainID has no bound on the length, which would take milliseconds to compile in
// every process.
var plainID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

const longestID = 120

func isRunID(id string) bool { return len(id) <= longestID && plainID.MatchString(id) }

// checkRunID keeps a run's id from being a path.
func checkRunID(id string) error {
	if !isRunID(id) {
		return fmt.Errorf("run id %q: use letters, digits, dots, dashes and underscores", id)
	}
	return nil
}
