package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// index is what a mirror says of a plugin. What others have written into it is kept.
type index struct {
	all      map[string]json.RawMessage
	versions map[string]json.RawMessage
}

// readIndex reads a plugin's index; where there is none, it has no versions.
func readIndex(dir string) (index, error) {
	x := index{map[string]json.RawMessage{}, map[string]json.RawMessage{}}
	path := filepath.Join(dir, "index.json")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return x, nil
	}
	if err != nil {
		return x, err
	}
	if err := json.Unmarshal(raw, &x.all); err != nil {
		return x, fmt.Errorf("%s is not what a mirror has: %w", path, err)
	}
	if v, ok := x.all["versions"]; ok {
		if err := json.Unmarshal(v, &x.versions); err != nil {
			return x, fmt.Errorf("%s is not what a mirror has: versions: %w", path, err)
		}
	}
	if x.all == nil || x.versions == nil { // null
		return x, fmt.Errorf("%s is not what a mirror has", path)
	}
	return x, nil
}

// with is the text of the index with one more version.
func (x index) with(version string) []byte {
	if _, ok := x.versions[version]; !ok {
		x.versions[version] = json.RawMessage("{}")
	}
	raw, err := json.Marshal(x.versions)
	if err != nil {
		panic(err) // it is JSON that was read
	}
	x.all["versions"] = raw
	return text(x.all)
}
