package halt

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// drillAction is the entry of the log that a drill leaves.
const drillAction = "drill"

// Drilled puts on record that the halt was practised, and that everything was clean
// after it.
func Drilled(dir, by string, took time.Duration, runs int) error {
	return log(dir, Halt{Format: format, Action: drillAction, Reason: "drill", By: by, At: time.Now().UTC(), Took: took, Runs: runs})
}

// LastDrill is the last drill on record that stopped a run, or the last one at all; ok
// says whether there was one.
func LastDrill(dir string) (last Halt, ok bool, err error) {
	f, err := os.Open(filepath.Join(dir, logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Halt{}, false, nil
	}
	if err != nil {
		return Halt{}, false, fmt.Errorf("read the log of halts: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var h Halt
		if json.Unmarshal(lines.Bytes(), &h) != nil || h.Action != drillAction {
			continue // a torn line hides nobody's drill but its own
		}
		if !ok || h.Runs > 0 || last.Runs == 0 {
			last, ok = h, true
		}
	}
	return last, ok, lines.Err()
}
