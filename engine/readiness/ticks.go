package readiness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/faultline-go/faultline/engine/durable"
)

// Tick says who has seen to an item, and when.
type Tick struct {
	By string    `json:"by"` // a role, such as on-call
	At time.Time `json:"at"`
}

// TickLasts is how long a tick counts: for the game day that it was made for.
const TickLasts = 24 * time.Hour

// ticksFormat is the format of the file of ticks.
const ticksFormat = 1

type ticksFile struct {
	Format int             `json:"format"`
	Ticks  map[string]Tick `json:"ticks"` // by item
}

func ticksPath(state, scenario string) string {
	return filepath.Join(state, "checks", Slug(scenario)+".json")
}

// Ticks reads what people have ticked for a scenario, by item.
func Ticks(state, scenario string) (map[string]Tick, error) {
	raw, err := os.ReadFile(ticksPath(state, scenario))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was ticked: %w", err)
	}
	var f ticksFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("read what was ticked: %w", err)
	}
	if f.Format > ticksFormat {
		return nil, fmt.Errorf("%s has format %d, newer than this faultline reads (%d): upgrade faultline", ticksPath(state, scenario), f.Format, ticksFormat)
	}
	return f.Ticks, nil
}

// PutTick writes down that somebody has seen to an item.
func PutTick(state, scenario, item string, t Tick) error {
	all, err := Ticks(state, scenario)
	if err != nil {
		return err
	}
	if all == nil {
		all = map[string]Tick{}
	}
	all[item] = t
	raw, err := json.MarshalIndent(ticksFile{ticksFormat, all}, "", "  ")
	if err != nil {
		return fmt.Errorf("tick: %w", err)
	}
	path := ticksPath(state, scenario)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("tick: %w", err)
	}
	if err := durable.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("tick: %w", err)
	}
	return nil
}
