package wire

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// ReattachVariable is the environment variable that makes an engine use plugins that run
// already: a JSON object of Reattach by the plugins' names.
const ReattachVariable = "FAULTLINE_REATTACH"

// Reattach says where a plugin is served that somebody else has started.
type Reattach struct {
	Protocol int    `json:"protocol"`
	Network  string `json:"network"` // unix
	Address  string `json:"address"` // of a socket in a folder that only its user may enter
	PID      int    `json:"pid"`
	// Binary is the program's file; recovery starts a copy of it when the process is
	// gone. Empty: it cannot.
	Binary string `json:"binary,omitempty"`
}

// Export is the line that a shell takes to reattach.
func Export(name string, r Reattach) (string, error) {
	text, err := json.Marshal(map[string]Reattach{name: r})
	if err != nil {
		return "", fmt.Errorf("write %s: %w", ReattachVariable, err)
	}
	return fmt.Sprintf("export %s='%s'", ReattachVariable, text), nil
}

// ParseReattach reads the variable's value; an empty one names nothing.
func ParseReattach(text string) (map[string]Reattach, error) {
	if text == "" {
		return nil, nil
	}
	var all map[string]Reattach
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("read %s: %w; it is what `faultline plugin serve` prints", ReattachVariable, err)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r := all[name]
		if r.Network != "unix" || r.Address == "" || r.Protocol <= 0 {
			return nil, fmt.Errorf("read %s: plugin %s needs protocol, network (unix) and address", ReattachVariable, name)
		}
	}
	return all, nil
}
